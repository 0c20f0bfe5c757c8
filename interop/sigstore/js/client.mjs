// Signs with sigstore-js against a log of Rekor's version 2 and verifies what it gets: a blob, and an
// attestation where the log takes those. Then it has to refuse bundles in which one thing was changed:
//
//     client.mjs MODULES CONFIG OTHER_CONFIG TOKEN_URL CHANGEBUNDLE WORK WHAT...
//
// MODULES is the folder in which @sigstore is installed, CONFIG one with trusted_root.json and signing_config.json,
// OTHER_CONFIG one with another key for the log, CHANGEBUNDLE the program of that name; WHAT is `blob`, `attestation` or `no-attestation`, where the log has to
// refuse it. A line tells of each check; exits 1 where one failed.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

const [modules, config, otherConfig, tokenURL, changebundle, work, ...whats] = process.argv.slice(2);
if (whats.length === 0) {
  console.error('usage: client.mjs MODULES CONFIG OTHER_CONFIG TOKEN_URL CHANGEBUNDLE WORK blob|attestation|no-attestation...');
  process.exit(2);
}
const require = createRequire(join(modules, 'node_modules', 'x'));
const { bundleBuilderFromSigningConfig } = require('@sigstore/sign');
const { bundleFromJSON, bundleToJSON } = require('@sigstore/bundle');
const { SigningConfig, TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const subject = 'alice@example.com';
const blob = Buffer.from('a blob, by JavaScript');
const payloadType = 'application/vnd.in-toto+json';

// What this client does not see changed, and why that does no harm.
const unread = {
  'log-id': "the key is found by the ID in the checkpoint's signature",
  'log-index': 'the index is read in the proof',
  cosigned: 'a witness may sign too',
  'root-hash': 'the root is read in the checkpoint',
  'tree-size': 'the size is read in the checkpoint',
};

let failed = 0;

// A check that passes where nothing is thrown.
async function check(what, attempt) {
  try {
    const result = await attempt();
    console.log(`ok      ${what}`);
    return result;
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${what}: ${line(error)}`);
  }
}

// A check that passes where something is thrown, which it shows.
async function refused(what, attempt) {
  try {
    await attempt();
  } catch (error) {
    console.log(`ok      ${what}: refused: ${line(error)}`);
    return;
  }
  failed += 1;
  console.log(`FAILED  ${what}: accepted`);
}

function line(error) {
  const cause = error.cause ? ` (${error.cause.message})` : '';
  return `${error.code ?? error.name}: ${error.message}${cause}`.replace(/\s+/g, ' ').slice(0, 300);
}

const read = (folder, name) => JSON.parse(readFileSync(join(folder, name)));
const verifierOf = (folder) => new Verifier(toTrustMaterial(TrustedRoot.fromJSON(read(folder, 'trusted_root.json'))));
const signing = SigningConfig.fromJSON(read(config, 'signing_config.json'));
const [verifier, stranger] = [verifierOf(config), verifierOf(otherConfig)];
const token = await (await fetch(tokenURL, { signal: AbortSignal.timeout(10000) })).text();

async function sign(bundleType, artifact) {
  const builder = bundleBuilderFromSigningConfig({
    signingConfig: signing,
    identityProvider: { getToken: async () => token },
    bundleType,
    fetchOptions: { timeout: 30000, retry: false },
  });
  return bundleToJSON(await builder.create(artifact));
}

function verify(text, artifact = blob, who = subject, by = verifier) {
  const bundle = bundleFromJSON(JSON.parse(text));
  const entity = bundle.content.$case === 'dsseEnvelope' ? toSignedEntity(bundle) : toSignedEntity(bundle, artifact);
  by.verify(entity, { subjectAlternativeName: `^${who}$` });
}

function statement(n) {
  const predicate = { _type: 'https://in-toto.io/Statement/v1', predicateType: 'https://example.com/p', predicate: { n },
    subject: [{ name: 'a file', digest: { sha256: '0d'.repeat(32) } }] };
  return { data: Buffer.from(JSON.stringify(predicate)), type: payloadType };
}

async function refuses(what, bundle, other) {
  const folder = join(work, `changed-${what}`);
  mkdirSync(folder);
  const [file, otherFile] = [join(work, `${what}.json`), join(work, `${what}-other.json`)];
  writeFileSync(file, bundle);
  writeFileSync(otherFile, other);
  execFileSync(changebundle, [file, otherFile, folder]);
  for (const changed of readdirSync(folder).sort()) {
    const [name, text] = [basename(changed, '.json'), readFileSync(join(folder, changed), 'utf8')];
    if (name in unread) {
      await check(`${what}, changed in ${name}: accepted, for ${unread[name]}`, () => verify(text));
    } else {
      await refused(`${what}, changed in ${name}`, () => verify(text));
    }
  }
  await refused(`${what}, another signer`, () => verify(bundle, blob, 'bob@example.com'));
  await refused(`${what}, by a log with another key`, () => verify(bundle, blob, subject, stranger));
  if (what === 'blob') await refused('another blob', () => verify(bundle, Buffer.from('another blob')));
}

for (const what of whats) {
  if (what === 'no-attestation') {
    await refused('an attestation, to a log that takes none', () => sign('dsseEnvelope', statement(1)));
    continue;
  }
  const content = what === 'blob' ? () => ({ data: blob }) : statement;
  const type = what === 'blob' ? 'messageSignature' : 'dsseEnvelope';
  const other = await check(`${what}: signed`, () => sign(type, content(1)));
  const bundle = await check(`${what}: signed again`, () => sign(type, content(2))); // not alone in its log
  if (!bundle || !other) continue;
  await check('... and verified', () => verify(JSON.stringify(bundle)));
  await check('... the other too', () => verify(JSON.stringify(other)));
  await refuses(what, JSON.stringify(bundle), JSON.stringify(other));
}
process.exit(failed ? 1 : 0);
