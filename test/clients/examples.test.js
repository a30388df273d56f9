// The programs that README quotes do what they say, each in its language with its own client.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startProxy } from './proxy.js';
import { Server } from './server.js';

// [program, what runs it, whether that is there, how it shows that the session has ended: at last,
// and among its tokens]
const examples = [
	['session.mjs', process.execPath, ['--version'], 'null', /token: null fetched: 0/],
	['session_ioredis.mjs', process.execPath, ['--version'], 'null', /token: null fetched: 0/],
	['session.py', '/usr/bin/python3', ['-c', 'import redis'], 'None', /token: None fetched: 0/],
	['session.php', 'php', ['-r', 'exit(extension_loaded("redis") ? 0 : 1);'], 'NULL', /token:  fetched: 0/],
	['session.rb', 'ruby', ['-e', 'require "redis"'], 'nil', /token:  fetched: 0/],
	['session.go', 'go', ['list', 'github.com/gomodule/redigo/redis'], 'true', /panic: the session has ended/],
];
// Debian's Go packages are sources.
const goEnvironment = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '-p=1' };
Object.assign(process.env, goEnvironment);

let server;
before(async () => (server = await Server.start({ 'session-id-hashing': 'yes' })));
after(() => server?.stop());

function isInstalled(program, probe) {
	try {
		execFileSync(program, probe, { stdio: 'ignore' });
		return true;
	} catch {
		return false;
	}
}

/** Programs that ended early have left their session behind. */
async function forgetSessions() {
	const socket = connect(server.port, '127.0.0.1');
	socket.end('SESSION.DELUSER ada\r\n').resume();
	await once(socket, 'close');
}

/** What it writes, and its exit code. */
async function runExample(name, program, port) {
	await forgetSessions();
	const path = fileURLToPath(new URL(`examples/${name}`, import.meta.url));
	const env = { ...process.env, HOLDFAST_PORT: String(port) };
	const words = program === 'go' ? ['run', path] : [path];
	try {
		return { code: 0, ...(await promisify(execFile)(program, words, { env, timeout: 120_000 })) };
	} catch (error) {
		return { code: error.code, stdout: error.stdout, stderr: error.stderr };
	}
}

// What a caller of SESSION.LEASE may meet besides a lease, and what the program makes of it.
const outcomes = [
	['another has the lease still, and then no more', (seen) => ([command], nothing) => {
		if (command === 'SESSION.LEASE' && seen.push(command) === 1) return `*2\r\n${nothing}:9000\r\n`;
	}, ({ stdout }) => assert.match(stdout, /token: new fetched: 1\n/)],
	['another has the lease for ever', () => ([command], nothing) => {
		if (command === 'SESSION.LEASE') return `*2\r\n${nothing}:9000\r\n`;
	}, ({ code, stdout, stderr }) => {
		assert.notEqual(code, 0);
		assert.match(stdout + stderr, /somebody else is still fetching a new token|Busy/);
	}],
	['the data are newer, and the token is expired all the same', (seen) => ([command, id], nothing) => {
		const data = '{"oauth":{"access":"old","refresh":"r","until":0}}';
		if (command === 'SESSION.LEASE' && seen.push(id) === 1) {
			return `*3\r\n${nothing}:0\r\n$${data.length}\r\n${data}\r\n`;
		}
	}, ({ stdout }) => assert.match(stdout, /token: new fetched: 1\n/)],
	['the session has ended while it asks', () => ([command], nothing) => {
		if (command === 'SESSION.LEASE') return nothing === '_\r\n' ? nothing : '*-1\r\n';
	}, ({ stdout, stderr }, gone) => assert.match(stdout + stderr, gone)],
	['the session has ended while it fetches', () => ([command, ...words]) => {
		if (command === 'SESSION.COMMIT') {
			const reply = '-SESSIONGONE the session of this id was deleted\r\n';
			return { send: ['SESSION.DEL', words[0]], reply };
		}
	}, ({ stdout, stderr }, gone) =>
		assert.match(stdout + stderr, new RegExp(gone.source.replace('fetched: 0', 'fetched: 1')))],
	['the lease is over when it has fetched', (seen) => ([command, ...words]) => {
		if (command === 'SESSION.COMMIT') {
			const reply = '-LEASELOST the token holds no lease\r\n';
			return { send: ['SESSION.RELEASE', ...words.slice(0, 3)], reply };
		}
		if (command === 'SESSION.UPDATE' && words[1].includes('oauth')) seen.push(words[1]);
	}, ({ stdout }, gone, seen) => {
		assert.match(stdout, /token: new fetched: \d+\n/);
		assert.match(seen[0], /"access": ?"new"/);
	}],
];

for (const [name, program, probe, nothing, gone] of examples) {
	const skip = !isInstalled(program, probe) && `${program} with its client is not installed`;
	test(`${name} goes from log-in to log-out everywhere`, { skip }, async () => {
		const { stdout, stderr } = await runExample(name, program, server.port);
		assert.equal(stderr, '');
		assert.equal(stdout, `cart: book\ntoken: new fetched: 1\nended: 1\nafter: ${nothing}\n`);
	});
	for (const [outcome, decide, check] of outcomes) {
		test(`${name} knows what to do when ${outcome}`, { skip }, async () => {
			const seen = [];
			const proxy = await startProxy(server.port, decide(seen));
			try {
				check(await runExample(name, program, proxy.port), gone, seen);
			} finally {
				proxy.stop();
			}
		});
	}
}
