// What is JSON and what is not, as a browser sees it: random texts, sound and damaged, against
// JSON.parse behind the decoder that response.json() uses. HOLDFAST_LONG tries more of them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Redis } from 'ioredis';

import { Server } from './server.js';

const SEED = Number(process.env.HOLDFAST_SEED ?? 1);
const TEXTS = process.env.HOLDFAST_LONG ? 100_000 : 20_000;
const PIPELINE = 1000;
const ECHO = `
local Echo = class("Echo")
function Echo:echo(text) return json.encode(json.decode(text)) end
return Echo`;
let server;
let client;
let id;

before(async () => {
	server = await Server.start();
	client = new Redis({ port: server.port });
	id = await client.call('SESSION.CREATE');
	await client.call('DO.CLASS', 'LOAD', 'Echo', ECHO);
});
after(async () => {
	client?.disconnect();
	await server?.stop();
});

let state = SEED;
function below(bound) {
	state = (state + 0x6d2b79f5) | 0;
	let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
	mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
	return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
}

const pick = (list) => list[below(list.length)];
const STRINGS = ['', 'a', 'b', 'é€😀', '\\n\\"\\\\\\/', '\\u0000', '\\ud83d', '\\uDE00', '\\ud83d\\ude00',
	'\\ude00\\ud83d', '\\ud83dx', '\\ud83d\\u0041', '\\uD83D\\n', ']},:[{', '\u2028\u00a0\ufeff', '__proto__'];
const SCALARS = ['null', 'true', 'false', '0', '-0', '1', '2.50', '-1e3', '1E-2', '1e999', '-1e999', '1e-999',
	'123456789012345678901234567890', '9223372036854775808', '01', '1.', '.5', '+1', 'NaN', 'nul'];
const NEAR = ['', '', '', ' ', '\n', '\t\r', ' \n'];
const FAR = ['\v', '\f', '\u00a0', '\u1680', '\u2000', '\u200a', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000',
	'\ufeff', '\u0085', '\u200b', '\0'];
const MARKS = '[]{}",:\\u0123456789abcdefD-+.eE nultrfas\n\v\f\u00e4\u2028\ufeff\0';

function makeString() {
	let text = '';
	for (let i = below(3); i >= 0; i--) text += pick(STRINGS);
	return `"${text}"`;
}

function makeValue(depth) {
	const kind = below(depth < 4 ? 8 : 4);
	const some = (make) => Array.from({ length: below(4) }, make).join(`${pick(NEAR)},${pick(NEAR)}`);
	// What is no number makes the whole text none, so it must be rare.
	if (kind < 2) return SCALARS[below(below(20) ? 14 : SCALARS.length)];
	if (kind < 4) return makeString();
	if (kind < 6) return `[${pick(NEAR)}${some(() => makeValue(depth + 1))}${pick(NEAR)}]`;
	return `{${some(() => `${makeString()}${pick(NEAR)}:${pick(NEAR)}${makeValue(depth + 1)}`)}}`;
}

function makeText() {
	let text = pick(NEAR) + makeValue(0) + pick(NEAR);
	if (below(8) === 0) text = pick(['\ufeff', '\ufeff ', ' \ufeff', '\ufeff\ufeff', '\v', '\u00a0']) + text;
	if (below(6) === 0) text += pick(FAR) + pick(NEAR) + pick([...FAR, '']);
	const bytes = Buffer.from(text);
	for (let i = below(3) ? 0 : 1 + below(3); i > 0; i--) {
		if (bytes.length === 0) break;
		bytes[below(bytes.length)] = below(4) ? Buffer.from(pick(MARKS))[0] : below(256);
	}
	return below(30) ? bytes : bytes.subarray(0, below(bytes.length + 1));
}

/** undefined when a browser refuses it. Behind the value trimEnd() may take away more than JSON allows. */
function parse(bytes, fatal = true) {
	try {
		return JSON.parse(new TextDecoder('utf-8', { fatal }).decode(bytes).trimEnd());
	} catch {
		return undefined;
	}
}

/** The replies to many commands at once: buffers, numbers, or errors. */
async function all(commands) {
	const pipeline = client.pipeline();
	for (const command of commands) pipeline.callBuffer(...command);
	return (await pipeline.exec()).map(([error, reply]) => error ?? reply);
}

const shown = (bytes) => `${JSON.stringify(bytes.toString())} (${bytes.toString('hex')}, seed ${SEED})`;

/** Makes texts and gives them to `check`, many at a time. */
async function tryTexts(check) {
	const seen = { accepted: 0, refused: 0 };
	for (let tried = 0; tried < TEXTS; tried += PIPELINE) {
		await check(Array.from({ length: PIPELINE }, makeText), seen);
	}
	assert.ok(seen.accepted > TEXTS / 10 && seen.refused > TEXTS / 10, JSON.stringify(seen));
}

test('session data is what JSON.parse takes, and stays as it is byte for byte', async () => {
	await tryTexts(async (texts, seen) => {
		const replies = await all(texts.flatMap((text) => [
			['SESSION.SET', id, text],
			['SESSION.GET', id, 'DATA'],
		]));
		texts.forEach((text, i) => {
			const [set, got] = replies.slice(2 * i);
			const good = parse(text) !== undefined;
			seen[good ? 'accepted' : 'refused']++;
			assert.equal(!(set instanceof Error), good, `${shown(text)}: ${set}`);
			if (good) assert.ok(got.equals(text), shown(text));
			else assert.match(set.message, /^BADJSON at byte \d+: /, shown(text));
		});
	});
});

test('fields and merges of session data are those of JavaScript', async () => {
	const objects = [];
	while (objects.length < TEXTS / 10) {
		const text = makeText();
		const value = parse(text);
		if (value && typeof value === 'object' && !Array.isArray(value)) objects.push({ text, value });
	}
	const pairs = objects.map((base, i) => [base, objects[(i * 7 + 1) % objects.length]]);
	const replies = await all(pairs.flatMap(([base, patch]) => [
		['SESSION.SET', id, base.text],
		['SESSION.UPDATE', id, patch.text],
		['SESSION.GET', id, 'DATA'],
		['SESSION.FIELD', id, 'a'],
	]));
	pairs.forEach(([base, patch], i) => {
		const [, , merged, field] = replies.slice(4 * i);
		const expected = { ...base.value };
		for (const name of Object.keys(patch.value)) {
			Object.defineProperty(expected, name, {
				value: patch.value[name], enumerable: true, configurable: true, writable: true });
		}
		assert.deepEqual(parse(merged), expected, `${shown(base.text)} with ${shown(patch.text)}`);
		if (field === null) assert.ok(!Object.hasOwn(expected, 'a'));
		else assert.deepEqual(parse(field), expected.a);
	});
});

/** As a browser reads it: a decoder that replaces, and what no number of JSON can be again, as such. */
test('json.decode takes what response.json() takes, and json.encode gives it back', async () => {
	await tryTexts(async (texts, seen) => {
		const replies = await all(texts.map((text) => ['DO.CALL', 'Echo', 'one', 'echo', text]));
		texts.forEach((text, i) => {
			if (text.includes(0xed)) return; // half a pair in UTF-8 is none to a browser, and kept here
			const expected = parse(text, false);
			const good = expected !== undefined;
			seen[good ? 'accepted' : 'refused']++;
			assert.equal(!(replies[i] instanceof Error), good, `${shown(text)}: ${replies[i]}`);
			// -0 is the integer 0 in Lua.
			if (good) assert.deepEqual(withoutMinus(parse(replies[i])), withoutMinus(expected), shown(text));
		});
	});
});

function withoutMinus(value) {
	if (Object.is(value, -0)) return 0;
	if (Array.isArray(value)) return value.map(withoutMinus);
	if (value === null || typeof value !== 'object') return value;
	return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutMinus(inner)]));
}
