// The server's clock: ages must not depend on how the reader's clock is set.
let skew = 0;

export const now = () => Date.now() + skew;

export function setServerTime(ms) {
  skew = ms - Date.now();
}
