#!/usr/bin/env node
// From a module to a component: bundles the source with the SDK, writes the world that it is built for,
// and hands both to componentize-js.

import {
  copyFileSync, existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROLES = {
  'connection-filter': 'connectionFilter',
  'request-filter': 'requestFilter',
  'response-filter': 'responseFilter',
  'balancer': 'balancer',
  'balancer-ahead': 'balancerAhead',
  'balancer-feedback': 'balancerFeedback',
  'persistence': 'persistence',
};
const IMPORTS = ['clock', 'random', 'maps', 'counters'];
const HERE = dirname(fileURLToPath(import.meta.url));

const USAGE = `weir-plugin-build SOURCE --role ROLE [--role ROLE] [--import NAME] [-o FILE]

  SOURCE        a module in JavaScript or TypeScript that exports what definePlugin() made
  --role        ${Object.keys(ROLES).join(', ')}
  --import      ${IMPORTS.join(', ')}: what weir.toml has to grant
  -o, --output  the component; SOURCE with .wasm if left out
  --quiet       says nothing unless it fails`;

/** The text of the world: what the component exports and imports, and nothing that it does not. */
export function world(roles, imports, version) {
  const lines = ['log', ...imports].map((name) => `  import weir:plugin/${name}@${version};`);
  lines.push(...['lifecycle', ...roles].map((name) => `  export weir:plugin/${name}@${version};`));
  return `package weir:built;\n\nworld plugin {\n${lines.join('\n')}\n}\n`;
}

/** The module that the component is made of: the source, and the proxy's functions put into the SDK. */
export function entry(source, roles, imports, version) {
  const names = ['lifecycle', ...roles.map((role) => ROLES[role])];
  const lines = [
    `import { host } from 'weir-plugin';`,
    `import { write } from 'weir:plugin/log@${version}';`,
    ...imports.map((name) => `import * as ${name} from 'weir:plugin/${name}@${version}';`),
    `host.log = write;`,
    ...imports.map((name) => `host.${name} = ${name};`),
    // The engine's console writes to WASI's streams, which are left out.
    `const say = (level) => (...parts) => write(level, parts.map(String).join(' '));`,
    `globalThis.console = { debug: say('debug'), log: say('info'), info: say('info'), warn: say('warn'), error: say('error') };`,
    `export { ${names.join(', ')} } from ${JSON.stringify(source)};`,
  ];
  return lines.join('\n') + '\n';
}

/** The folder of the contract: beside the SDK, or in the checkout of Weir that either of the two lies in. */
function contract() {
  const above = (folder) => (dirname(folder) === folder ? [folder] : [folder, ...above(dirname(folder))]);
  const folders = [join(HERE, 'wit'), ...[...above(HERE), ...above(process.cwd())].map((folder) => join(folder, 'wit/v0.1'))];
  const found = folders.find((folder) => existsSync(join(folder, 'weir-plugin.wit')));
  if (found === undefined) {
    throw new Error(`the contract, weir-plugin.wit, is neither in ${folders[0]} nor in a folder wit/v0.1 above here`);
  }
  return found;
}

/** What the contract calls its version. */
export function contractVersion() {
  const text = readFileSync(join(contract(), 'weir-plugin.wit'), 'utf8');
  return text.match(/^package weir:plugin@([^;]+);/m)[1];
}

export async function build({ source, roles, imports, output }) {
  const { build: bundle } = await import('esbuild');
  const { componentize } = await import('@bytecodealliance/componentize-js');
  const version = contractVersion();
  const folder = mkdtempSync(join(tmpdir(), 'weir-plugin-'));
  try {
    const wit = join(folder, 'wit');
    mkdirSync(join(wit, 'deps/weir-plugin'), { recursive: true });
    writeFileSync(join(wit, 'world.wit'), world(roles, imports, version));
    for (const file of readdirSync(contract()).filter((name) => name.endsWith('.wit'))) {
      copyFileSync(join(contract(), file), join(wit, 'deps/weir-plugin', file));
    }
    const bundled = join(folder, 'plugin.js');
    await bundle({
      stdin: { contents: entry(resolve(source), roles, imports, version), resolveDir: HERE, sourcefile: 'entry.js' },
      outfile: bundled,
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      alias: { 'weir-plugin': join(HERE, 'index.js') },
      external: ['weir:*'],
      logLevel: 'error',
    });
    const { component } = await componentize({
      sourcePath: bundled,
      witPath: wit,
      worldName: 'plugin',
      // Nothing of WASI: what a plugin may have, the proxy's own interfaces give.
      disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
    });
    writeFileSync(output, component);
    return component.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function options(words) {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      role: { type: 'string', multiple: true, default: [] },
      import: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', short: 'o' },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const wrong = (message) => {
    throw new Error(`${message}\n\n${USAGE}`);
  };
  if (positionals.length !== 1) wrong('name one source file');
  if (values.role.length === 0) wrong('name a role');
  for (const role of values.role) {
    if (!(role in ROLES)) wrong(`no role \`${role}\``);
  }
  for (const name of values.import) {
    if (!IMPORTS.includes(name)) wrong(`no import \`${name}\``);
  }
  const [source] = positionals;
  const output = values.output ?? `${basename(source).replace(/\.[cm]?[jt]s$/, '')}.wasm`;
  return { source, roles: values.role, imports: values.import, output, quiet: values.quiet };
}

// Called as a program, be it through the link in node_modules/.bin, and not imported by a test.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const asked = options(process.argv.slice(2));
    const bytes = await build(asked);
    if (!asked.quiet) console.error(`${asked.output}: ${Math.ceil(bytes / 1024)} KiB`);
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(1);
  }
}
