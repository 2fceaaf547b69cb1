/**
 * Money as people read it.
 *
 * Owns how `Money` is shown and compared. Never rounds away what was spent: an amount that is not zero is never shown as zero.
 */
import type { Money } from "headwater";

/** Nano-dollars as a number, for plots and sums; 0 for an unknown amount. */
export function nanoOf(money: Money | null | undefined): number {
  if (money === null || money === undefined) return 0;
  if (typeof money.nano_usd === "number") return money.nano_usd;
  // Above 2⁵³ nano-dollars only the decimal is given; a plot can do without the last digits.
  return Number(money.usd ?? 0) * 1e9;
}

/** Nano-dollars as `Money`. */
export function moneyOf(nano: number): Money {
  return { nano_usd: nano, usd: decimal(nano / 1e9) };
}

/** `$12.35`, `$0.0123`, `$0.0000033`; `unknown` where the server does not know. */
export function formatMoney(money: Money | null | undefined): string {
  if (money === null || money === undefined) return "unknown";
  return formatNano(nanoOf(money));
}

/** The same of a number of nano-dollars. */
export function formatNano(nano: number): string {
  const sign = nano < 0 ? "−" : "";
  const usd = Math.abs(nano) / 1e9;
  if (usd === 0) return "$0";
  if (usd >= 1000) return `${sign}$${Math.round(usd).toLocaleString("en-US")}`;
  if (usd >= 1) return `${sign}$${usd.toFixed(2)}`;
  // Three digits that say something, however small the amount.
  return `${sign}$${decimal(Number(usd.toPrecision(3)))}`;
}

/** A short form for the axes of plots. */
export function axisMoney(nano: number): string {
  const usd = nano / 1e9;
  if (usd === 0) return "$0";
  if (Math.abs(usd) >= 1000) return `$${(usd / 1000).toFixed(usd >= 10_000 ? 0 : 1)}k`;
  return `$${decimal(Number(usd.toPrecision(2)))}`;
}

/** A number as a plain decimal without an exponent or trailing zeros. */
function decimal(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1e-6) return String(value);
  return value.toFixed(15).replace(/0+$/, "").replace(/\.$/, "");
}

/** What a person typed as an amount of dollars: a decimal the API takes, or `null`. */
export function parseUsd(text: string): string | null {
  const trimmed = text.trim().replace(/^\$/, "");
  return /^\d{1,9}(\.\d{1,9})?$/.test(trimmed) ? trimmed : null;
}
