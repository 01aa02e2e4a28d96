/** The seed that every property test uses unless FC_SEED asks for another. */
const DEFAULT_SEED = 20_261_120;

/** The seed of this run, from FC_SEED (a decimal integer) or fixed. Throws when FC_SEED is no integer. */
export function propertySeed(): number {
  const text = process.env['FC_SEED'];
  if (text === undefined || text === '') return DEFAULT_SEED;
  const seed = Number(text);
  if (!Number.isInteger(seed)) throw new Error(`FC_SEED is "${text}"; expected a decimal integer`);
  return seed;
}
