// Figures that say how far to trust them.

/** The value below which this share of them lies. */
export const quantile = (values: number[], share: number) => values.toSorted((a, b) => a - b)[Math.floor(values.length * share)];
export const median = (values: number[]) => quantile(values, 0.5);
export const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

export interface Ratio { ratio: number; low: number; high: number }

/**
 * The geometric mean of ratios, from their logarithms, one for each round, with a 95% interval: the bootstrap's, over rounds.
 * Not over slices: those of one process are alike, and it is how a process happened to lie in memory that differs most.
 */
export function interval(logs: number[]): Ratio {
  const means = Array.from({ length: 4000 }, () => mean(logs.map(() => logs[Math.floor(Math.random() * logs.length)])));
  return { ratio: Math.exp(mean(logs)), low: Math.exp(quantile(means, 0.025)), high: Math.exp(quantile(means, 0.975)) };
}

/**
 * (ours - floor) / (other - floor), from one figure of each a round, with its 95% interval: Fieller's. It asks which ratios r
 * the rounds do not contradict, by Student's t on ours - floor - r (other - floor). So it is as wide as a small difference
 * below the line makes it, and right for ten rounds, where the bootstrap's is too narrow (it holds the truth 9 times in 10).
 *
 * Undefined when the rounds do not show that `other` costs more than the floor: any ratio at all would fit then.
 */
export function ratioAboveFloor(ours: number[], other: number[], floor: number[], z = Z95): Ratio | undefined {
  const n = ours.length, a = ours.map((v, i) => v - floor[i]), b = other.map((v, i) => v - floor[i]), [above, below] = [mean(a), mean(b)];
  const covariance = (x: number[], y: number[]) => (mean(x.map((v, i) => v * y[i])) - mean(x) * mean(y)) / (n - 1); // of the means
  const t2 = student(n - 1, z) ** 2;
  // r² A - 2 r B + C <= 0
  const A = below ** 2 - t2 * covariance(b, b), B = above * below - t2 * covariance(a, b), C = above ** 2 - t2 * covariance(a, a);
  if (n < 3 || A <= 0 || below <= 0) return undefined;
  const half = Math.sqrt(Math.max(0, B * B - A * C));
  return { ratio: above / below, low: (B - half) / A, high: (B + half) / A };
}

/** The mean of one figure a round, and how far from it the true one may lie (95%): Student's interval. */
export function within(values: number[]): { mean: number; by: number } {
  const n = values.length, m = mean(values);
  return { mean: m, by: student(n - 1, Z95) * Math.sqrt(mean(values.map((v) => (v - m) ** 2)) / (n - 1)) };
}

/** Quantiles of the normal distribution for two-sided intervals. */
export const Z95 = 1.959964, Z99 = 2.575829;

/** Student's t for the normal `z`: Cornish and Fisher's expansion, within 1% from five degrees of freedom on. */
const student = (freedom: number, z: number) =>
  z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);

export const written = (r: Ratio | undefined) => (r ? `${r.ratio.toFixed(2)} (${r.low.toFixed(2)}–${r.high.toFixed(2)})` : "not resolvable");
