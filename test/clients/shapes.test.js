// README's table of what clients make of a method's result: each cell is what the client shows, each
// in its language. The first cell of a row is the code that the method ends with.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

import { Redis } from 'ioredis';
import { createClient } from 'redis';

import { Server } from './server.js';

// The tests run from a copy beside the build as well.
const root = process.env.HOLDFAST_ROOT ?? fileURLToPath(new URL('../..', import.meta.url));
const [headings, rows] = readTable();

/** The table below its heading: the clients' names, and rows of cells without their quotes. */
function readTable() {
	const lines = readFileSync(`${root}/README.md`, 'utf8').split('\n');
	const start = lines.findIndex((line) => line.startsWith('| a method ends with |'));
	const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'));
	const table = lines.slice(start, end).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
	return [table[0], table.slice(2).map((cells) => cells.map((cell) => /^`(.*?)`/.exec(cell)[1] + (/by `DO.CALLJSON`/.test(cell) ? ' as JSON' : '')))];
}

const methods = rows.map(([code], i) => ({
	source: `function Shapes:m${i}() ${code.replace(' as JSON', '')} end`,
	words: [code.endsWith(' as JSON') ? 'DO.CALLJSON' : 'DO.CALL', 'Shapes', 'a', `m${i}`],
}));
const lines = methods.map(({ words }) => words.join(' '));

let server;
before(async () => {
	server = await Server.start();
	const client = new Redis({ port: server.port });
	const sources = methods.map(({ source }) => source).join('\n');
	await client.call('DO.CLASS', 'LOAD', 'Shapes', `local Shapes = class("Shapes")\n${sources}\nreturn Shapes`);
	client.disconnect();
});
after(() => server?.stop());

async function each(call) {
	const shown = [];
	for (const { words } of methods) {
		const reply = await call(words).catch((error) => String(error));
		shown.push(typeof reply === 'string' && /^\w*Error: /.test(reply) ? reply : inspect(reply, { breakLength: Infinity }));
	}
	return shown;
}

function outside(program, words) {
	const goEnvironment = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '-p=1' };
	const env = { ...process.env, ...goEnvironment, HOLDFAST_PORT: String(server.port) };
	return execFileSync(program, [...words, ...lines], { env, encoding: 'utf8' }).trimEnd().split('\n');
}

const here = (name) => fileURLToPath(new URL(`shapes/${name}`, import.meta.url));

const clients = {
	async 'node-redis'() {
		const client = createClient({ socket: { port: server.port } });
		await client.connect();
		const shown = await each((words) => client.sendCommand(words));
		client.destroy();
		return shown;
	},
	async ioredis() {
		const client = new Redis({ port: server.port });
		const shown = await each((words) => client.call(...words));
		client.disconnect();
		return shown;
	},
	'redis-py': () => outside('/usr/bin/python3', [here('shapes.py')]),
	redigo: () => outside('go', ['run', here('shapes.go')]),
	phpredis: () => outside('php', [here('shapes.php')]),
};

const probes = {
	'redis-py': ['/usr/bin/python3', ['-c', 'import redis']],
	redigo: ['go', ['list', 'github.com/gomodule/redigo/redis']],
	phpredis: ['php', ['-r', 'exit(extension_loaded("redis") ? 0 : 1);']],
};

function isMissing(name) {
	const [program, words] = probes[name] ?? [];
	if (!program) return false;
	try {
		execFileSync(program, words, {
			stdio: 'ignore', env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode' },
		});
		return false;
	} catch {
		return `${name} is not installed`;
	}
}

test('the table has the clients that are tried here', () => {
	assert.deepEqual(headings.slice(1), Object.keys(clients));
	assert.ok(rows.length >= 10);
});

for (const [column, name] of Object.keys(clients).entries()) {
	test(`${name} shows results as README says`, { skip: isMissing(name) }, async () => {
		const shown = await clients[name]();
		assert.equal(shown.length, rows.length);
		rows.forEach((cells, i) => assert.equal(shown[i], cells[column + 1], `${cells[0]} with ${name}`));
	});
}
