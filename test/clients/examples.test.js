// The programs that README quotes do what they say, each in its language with its own client.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Server } from './server.js';

// [program, what runs it, whether that is there, what its language calls nothing]
const examples = [
	['session.mjs', process.execPath, ['--version'], 'null'],
	['session_ioredis.mjs', process.execPath, ['--version'], 'null'],
	['session.py', '/usr/bin/python3', ['-c', 'import redis'], 'None'],
	['session.php', 'php', ['-r', 'exit(extension_loaded("redis") ? 0 : 1);'], 'false'],
	['session.rb', 'ruby', ['-e', 'require "redis"'], 'nil'],
	['session.go', 'go', ['list', 'github.com/gomodule/redigo/redis'], 'true'],
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

for (const [name, program, probe, nothing] of examples) {
	const skip = !isInstalled(program, probe) && `${program} with its client is not installed`;
	test(`${name} goes from log-in to log-out everywhere`, { skip }, async () => {
		const path = fileURLToPath(new URL(`examples/${name}`, import.meta.url));
		const env = { ...process.env, HOLDFAST_PORT: String(server.port) };
		const words = program === 'go' ? ['run', path] : [path];
		const { stdout, stderr } = await promisify(execFile)(program, words, { env, timeout: 120_000 });
		assert.equal(stderr, '');
		assert.equal(stdout, `cart: book\ntoken: new\nended: 1\nafter: ${nothing}\n`);
	});
}
