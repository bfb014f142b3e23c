// What the New York market is in, in words that the server wrote for the coming days; see dashboard/phases.py.
import { now } from "./clock.js";

let phases = [];

export function setPhases(coming) {
  phases = coming;
}

// { state, words, note }; null when the page is older than what it was told.
export const phaseNow = () => phases.find((phase) => now() < phase.until) ?? null;
