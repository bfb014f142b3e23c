// How prices come, how often and why, in words.
import { age, clockTime } from "./format.js";

const WAYS = { socket: "Live", stream: "Live over HTTP", polling: "Checking every 5 s" };
const DOTS = { socket: "live", stream: "live", polling: "polling" };
const OFTEN = {
  live: "As they change",
  "1s": "Every second",
  "5s": "Every 5 s",
  "30s": "Every 30 s",
  paused: "Paused",
};
const WHY = {
  slow_client: "your connection is slow",
  hidden: "this tab is in the background",
  save_data: "your device saves data",
  reduced_motion: "your device asks for less motion",
  tier: "your plan",
};
const CLOSED = { 4001: "Logged out", 4003: "Too many connections" };

// { state, words }: the dot and what stands beside it.
export function wayOf(live) {
  if (CLOSED[live.closed]) return { state: "offline", words: CLOSED[live.closed] };
  if (live.offlineSince) return { state: "offline", words: "Offline" };
  if (!live.way) return { state: "none", words: "Connecting" };
  if (live.pausedSince) return { state: "paused", words: WAYS[live.way] };
  const rare = live.way === "polling" && paceOf(live).mode === "30s";
  return { state: DOTS[live.way], words: rare ? "Checking every 30 s" : WAYS[live.way] };
}

// What is in force: the server's word, or ours where nobody but us decides.
export const paceOf = (live) => (live.way === "polling" || live.pausedSince ? live.cadence.wanted : live.pace);

// { words, byPlan }
export function oftenOf(live) {
  const { mode, reason } = paceOf(live);
  if (live.way === "polling" && mode !== "paused" && mode !== "30s") {
    return { words: "Every 5 s: nothing faster gets through this network", byPlan: false };
  }
  const why = mode === "live" ? "" : (WHY[reason] ?? "");
  return { words: why ? `${OFTEN[mode]}: ${why}` : OFTEN[mode], byPlan: reason === "tier" };
}

export const heardOf = (live) => `${age(Date.now() - live.heardAt)} ago`;

// After a connection that was lost; nothing where the server does not say.
export function gapOf(live) {
  if (!live.backSince || live.recovered === null) return "";
  return `${clockTime(live.backSince)}, ${live.recovered ? "nothing missed" : "newest prices loaded"}`;
}
