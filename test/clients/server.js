// A server process for one test file: on a free port of the loopback, in a directory of its own.
// HOLDFAST_SERVER names the binary; the word `redis` runs the tests against Redis, which shows that
// they ask for what Redis does.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const START_MS_MAX = 60_000;
const built = fileURLToPath(new URL('../../build/holdfast-server', import.meta.url));
const program = process.env.HOLDFAST_SERVER ?? built;

// A test file that fails early must not leave its server behind.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

export class Server {
	/** Options are parameters by their names: `{ requirepass: 'secret' }`. */
	static async start(options = {}) {
		const server = new Server();
		server.options = options;
		server.port = await freePort();
		server.directory = mkdtempSync(join(tmpdir(), 'holdfast-clients-'));
		await server.begin();
		return server;
	}

	async begin() {
		const common = { port: this.port, bind: '127.0.0.1', dir: this.directory };
		const durable = program === 'redis' ? { appendonly: 'yes', appendfsync: 'always' } : {};
		const words = Object.entries({ ...common, ...durable, ...this.options });
		const binary = program === 'redis' ? 'redis-server' : program;
		const parameters = words.flatMap(([name, value]) => [`--${name}`, String(value)]);
		this.log = '';
		this.process = spawn(binary, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
		const child = this.process;
		running.add(child);
		child.once('exit', () => running.delete(child));
		this.ended = new Promise((resolve) => child.once('exit', resolve));
		for (const stream of [this.process.stdout, this.process.stderr]) {
			stream.on('data', (text) => (this.log += text));
		}
		const deadline = Date.now() + START_MS_MAX;
		while (!(await answers(this.port))) {
			if (this.process.exitCode !== null || Date.now() > deadline) {
				throw new Error(`the server does not answer:\n${this.log}`);
			}
			await sleep(10);
		}
	}

	/** kill -9, and the same data served again. */
	async crash() {
		this.process.kill('SIGKILL');
		await this.ended;
		await this.begin();
	}

	async stop() {
		this.process.kill('SIGTERM');
		await this.ended;
		rmSync(this.directory, { recursive: true, force: true });
	}
}

/** Below the ports that the kernel gives to clients: a connection of somebody may have one of those. */
function freePort() {
	return new Promise((resolve) => {
		const port = randomInt(10000, 32000);
		const probe = createServer();
		probe.once('error', () => resolve(freePort()));
		probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(port)));
	});
}

/** Any reply to PING counts: a server with a password answers with an error. */
function answers(port) {
	return new Promise((resolve) => {
		const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
		const settle = (answered) => {
			socket.destroy();
			resolve(answered);
		};
		socket.once('data', (data) => settle(!String(data).startsWith('-LOADING')));
		socket.once('error', () => settle(false));
		socket.once('close', () => settle(false));
	});
}

/** Polls until the condition holds; fails when it does not within the time. */
export async function eventually(condition, ms = 10_000) {
	const deadline = Date.now() + ms;
	while (!(await condition())) {
		if (Date.now() > deadline) throw new Error('waited in vain');
		await sleep(5);
	}
}
