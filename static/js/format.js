// The twin of dashboard/formats.py: the same texts for the same values; a browser test compares them.
export const MINUS = "\u2212";
export const THIN = "\u2009";
export const NOTHING = "\u2014";
const WHOLE_VOLUME_BELOW = 100_000;

const formats = new Map();

// Intl.NumberFormat takes decimal texts exactly: a price never becomes a binary fraction.
function number(text, decimals) {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en", digits));
  }
  return formats.get(decimals).format(text);
}

const isZero = (shown) => !/[1-9]/.test(shown);
const given = (value) => value !== null && value !== undefined && value !== "";

export function decimalsFor(prices) {
  return prices.some((price) => given(price) && Math.abs(Number(price)) < 1) ? 4 : 2;
}

export function price(value, decimals = decimalsFor([value])) {
  return given(value) ? number(value, decimals).replace("-", MINUS) : NOTHING;
}

export function signed(value, decimals = 2) {
  if (!given(value)) return NOTHING;
  const shown = number(value, decimals).replace("-", "");
  if (isZero(shown)) return shown;
  return (String(value).startsWith("-") ? MINUS : "+") + shown;
}

export const percent = (value) => (given(value) ? `${signed(value)}${THIN}%` : NOTHING);

export function direction(value, decimals = 2) {
  const sign = signed(given(value) ? value : "0", decimals)[0];
  return sign === "+" ? "up" : sign === MINUS ? "down" : "flat";
}

export function volume(value) {
  if (!given(value)) return NOTHING;
  if (Number(value) < WHOLE_VOLUME_BELOW) return number(value, 0);
  return `${number(shifted(BigInt(value)), 2)}${THIN}M`;
}

// Millions as exact decimal text.
function shifted(units) {
  return `${units / 1_000_000n}.${String(units % 1_000_000n).padStart(6, "0")}`;
}

export function age(ms) {
  const seconds = Math.max(ms / 1000, 0);
  if (seconds < 9.95) return `${seconds.toFixed(1)}${THIN}s`;
  if (seconds < 60) return `${Math.floor(seconds)}${THIN}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}${THIN}h`;
  return `${Math.floor(seconds / 86400)}${THIN}days`;
}

const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

// "2012-03-14" as "14 Mar 2012"; en-GB alone would write "Sept".
export const day = (iso) => dayFormat.format(new Date(`${iso}T00:00:00Z`)).replace("Sept", "Sep");

// In the reader's time zone.
export function clockTime(ms, seconds = false) {
  const moment = new Date(ms);
  const parts = [moment.getHours(), moment.getMinutes(), ...(seconds ? [moment.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
