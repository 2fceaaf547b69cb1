/** Linear scales and round ticks for plots. */

/** Round numbers that cover 0 to `most`, about so many of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(most: number, about: number): number[] {
  if (!(most > 0)) return [0];
  const step = niceStep(most / Math.max(1, about));
  const values: number[] = [];
  for (let at = 0; at < most + step * 0.999; at += step) values.push(Number(at.toPrecision(12)));
  return values;
}

/** The smallest of 1, 2 or 5 times a power of ten that is not below `rough`. */
export function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = rough / power;
  return (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 5 ? 5 : 10) * power;
}

/** The smallest step in ms for a time axis that is not below `rough`. */
export function timeStep(rough: number): number {
  if (rough <= 1000) return Math.max(1, niceStep(rough));
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];
  for (const step of steps) if (step * 1000 >= rough) return step * 1000;
  return niceStep(rough / 86_400_000) * 86_400_000;
}
