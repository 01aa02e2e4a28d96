import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import ts from 'typescript';

const root = resolve(import.meta.dirname, '../../..');
const sourceDir = `${resolve(root, 'src')}/`;

/** What a call or a `new` runs, where that is known and of this repository: a function, a constructor, a method of a class. */
function bodyOf(callee: ts.Declaration): ts.Node | undefined {
  if (!callee.getSourceFile().fileName.startsWith(sourceDir)) return undefined;
  if (ts.isFunctionDeclaration(callee) || ts.isMethodDeclaration(callee)) return callee.body;
  if (ts.isClassDeclaration(callee)) return callee.members.find(ts.isConstructorDeclaration)?.body;
  const value = ts.isVariableDeclaration(callee) ? callee.initializer : undefined;
  return value !== undefined && ts.isArrowFunction(value) ? value.body : undefined;
}

/** Whether a `throw` says again what was caught. */
function isPassedOn({ expression, parent }: ts.ThrowStatement): boolean {
  let place: ts.Node = parent;
  while (!ts.isCatchClause(place) && !ts.isFunctionLike(place) && !ts.isSourceFile(place)) place = place.parent;
  return ts.isCatchClause(place) && place.variableDeclaration?.name.getText() === expression.getText();
}

function passesOn(clause: ts.CatchClause): boolean {
  const visit = (node: ts.Node): boolean =>
    (ts.isThrowStatement(node) && isPassedOn(node)) ||
    ts.forEachChild(node, (child) => visit(child) || undefined) === true;
  return visit(clause.block);
}

/** Whether this is a call of `catch` of a promise: nobody else hears of its rejection. */
function isHandled(node: ts.Node): boolean {
  return (
    ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === 'catch'
  );
}

/** Whether this is a new promise whose maker keeps the function that rejects it. */
function isRejected(node: ts.Node): boolean {
  if (!ts.isNewExpression(node) || node.expression.getText() !== 'Promise') return false;
  const [maker] = node.arguments ?? [];
  return maker !== undefined && ts.isArrowFunction(maker) && maker.parameters.length > 1;
}

function commentOf(node: ts.Node): string {
  return ts
    .getJSDocCommentsAndTags(node)
    .map((part) => part.getText())
    .join('\n');
}

/** What is public and lacks a part of its documentation. */
export interface Undocumented {
  /** `mdev: MdevDevice.attach`. */
  readonly name: string;
  readonly lacks: 'a comment' | 'the errors it raises';
}

/** The modules that the package exports, by name, as paths of their sources. */
export function entryPoints(): ReadonlyMap<string, string> {
  const manifest = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, { readonly types?: string } | string>>;
  };
  return new Map(
    Object.entries(manifest.exports).flatMap(([name, target]) => {
      const types = typeof target === 'string' ? undefined : target.types;
      if (types === undefined) return [];
      return [[name, resolve(root, types.replace('./dist/', 'src/').replace('.d.ts', '.ts'))] as const];
    }),
  );
}

/**
 * What of the exports of `files` lacks documentation: everything that is exported, and every public member of a class and method of an interface, has a
 * comment; what throws, in its own body or in that of whatever it calls by name, in whichever file, says so.
 *
 * @param sources replaces the contents of files, for tests of this check.
 */
export function undocumented(
  files: ReadonlyMap<string, string>,
  sources: ReadonlyMap<string, string> = new Map(),
): readonly Undocumented[] {
  const { config } = ts.readConfigFile(resolve(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    readonly config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const read = host.readFile.bind(host);
  const exists = host.fileExists.bind(host);
  host.readFile = (path) => sources.get(path) ?? read(path);
  host.fileExists = (path) => sources.has(path) || exists(path);
  const program = ts.createProgram([...files.values()], { ...options, noEmit: true }, host);
  const checker = program.getTypeChecker();
  const found = new Map<string, Undocumented>();
  const seen = new Set<ts.Symbol>();

  const report = (name: string, lacks: Undocumented['lacks']): void => {
    found.set(`${name} ${lacks}`, { name, lacks });
  };
  const textOf = (symbol: ts.Symbol): string =>
    [
      ts.displayPartsToString(symbol.getDocumentationComment(checker)),
      ...symbol.getJsDocTags(checker).map((tag) => `@${tag.name} ${ts.displayPartsToString(tag.text)}`),
    ]
      .join('\n')
      .trim();

  /** Whether running `body` may end with a `throw` of it, or of a function, constructor or method of `src` that it calls. */
  const throws = (body: ts.Node, visited = new Set<ts.Node>()): boolean => {
    if (visited.has(body)) return false;
    visited.add(body);
    const visit = (node: ts.Node): boolean => {
      if (node !== body && (ts.isFunctionLike(node) || ts.isClassLike(node))) return false;
      if (ts.isThrowStatement(node)) return !isPassedOn(node);
      // What is caught is the business of the handler; what a handler only passes on is as if it were not there.
      if (ts.isTryStatement(node) && node.catchClause !== undefined) {
        const { catchClause, finallyBlock, tryBlock } = node;
        return (
          visit(catchClause.block) ||
          (finallyBlock !== undefined && visit(finallyBlock)) ||
          (passesOn(catchClause) && visit(tryBlock))
        );
      }
      if (isHandled(node)) return false;
      if (isRejected(node)) return true;
      if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
        const named = checker.getSymbolAtLocation(node.expression);
        const symbol = named && named.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(named) : named;
        const inner = symbol?.valueDeclaration && bodyOf(symbol.valueDeclaration);
        if (inner !== undefined && throws(inner, visited)) return true;
      }
      return ts.forEachChild(node, (child) => visit(child) || undefined) === true;
    };
    return visit(body);
  };

  const checkCallable = (name: string, declaration: ts.Declaration, text: string): void => {
    const body = 'body' in declaration ? (declaration.body as ts.Node | undefined) : undefined;
    if (body !== undefined && throws(body) && !/@throws|[Tt]hrows|[Rr]ejects|`E[A-Z0-9]+`/.test(text)) {
      report(name, 'the errors it raises');
    }
  };

  const checkMember = (owner: string, ownerText: string, member: ts.Symbol): void => {
    const declaration = member.declarations?.[0];
    if (declaration?.getSourceFile().fileName.startsWith(resolve(root, 'src')) !== true) return;
    if (ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) return;
    if (ts.getJSDocTags(declaration).some((tag) => tag.tagName.text === 'internal')) return;
    if (ts.isConstructorDeclaration(declaration)) {
      checkCallable(`${owner}.constructor`, declaration, ownerText + textOf(member) + commentOf(declaration));
      return;
    }
    const named = ts.getNameOfDeclaration(declaration);
    if (named === undefined || ts.isPrivateIdentifier(named)) return;
    const isCallable =
      ts.isMethodDeclaration(declaration) || ts.isMethodSignature(declaration) || ts.isAccessor(declaration);
    if (!isCallable) return;
    const name = `${owner}.${member.name}`;
    const text = textOf(member);
    if (text === '') report(name, 'a comment');
    else checkCallable(name, declaration, text);
  };

  const check = (entry: string, exported: ts.Symbol): void => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (seen.has(symbol)) return;
    seen.add(symbol);
    const name = `${entry}: ${exported.name}`;
    const text = textOf(symbol) || textOf(exported);
    if (text === '') report(name, 'a comment');
    for (const declaration of symbol.declarations ?? []) {
      if (ts.isFunctionDeclaration(declaration)) checkCallable(name, declaration, text);
      if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) {
        for (const member of symbol.members?.values() ?? []) checkMember(name, text, member);
      }
    }
  };

  for (const [entry, path] of files) {
    const source = program.getSourceFile(path);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${path} is no module`);
    for (const exported of checker.getExportsOfModule(module)) check(entry, exported);
  }
  return [...found.values()];
}
