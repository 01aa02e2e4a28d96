/**
 * A vendor's mistake: a declaration, or the hooks for it, that cannot be. Thrown where it is declared. The message names
 * the thing by its path, its value, and what was expected.
 */
export class DeclarationError extends Error {
  override readonly name = 'DeclarationError';
}
