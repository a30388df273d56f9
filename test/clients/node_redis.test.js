// node-redis, which says HELLO 3 on connecting and sends what is asked in one tick as one pipeline.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { createClient, RESP_TYPES } from 'redis';

import { eventually, Server } from './server.js';

for (const protocol of [2, 3]) {
	describe(`node-redis over RESP${protocol}`, () => {
		let server;
		let client;

		before(async () => {
			server = await Server.start();
			client = createClient({ RESP: protocol, socket: { port: server.port } });
			client.on('error', () => {}); // a crash of the server is part of these tests
			await client.connect();
		});
		after(async () => {
			client?.destroy();
			await server?.stop();
		});
		beforeEach(() => client.flushAll());

		test('speaks the protocol that it asked for', async () => {
			const greeting = await client.hello(protocol);
			assert.equal(greeting.proto, protocol);
			assert.equal(greeting.role, 'master');
			assert.equal(greeting.mode, 'standalone');
			assert.equal(typeof greeting.id, 'number');
		});

		test('stores and reads with every option of SET', async () => {
			assert.equal(await client.set('key', 'one'), 'OK');
			assert.equal(await client.set('key', 'two', { condition: 'NX' }), null);
			assert.equal(await client.set('key', 'two', { condition: 'XX', GET: true }), 'one');
			assert.equal(await client.set('key', 'three', { expiration: { type: 'EX', value: 100 } }), 'OK');
			assert.equal(await client.set('key', 'four', { expiration: 'KEEPTTL' }), 'OK');
			const life = await client.pTTL('key');
			assert.ok(life > 90_000 && life <= 100_000, `${life}`);
			assert.equal(await client.getDel('key'), 'four');
			assert.equal(await client.get('key'), null);
		});

		test('answers a thousand commands of one tick in their order', async () => {
			const counts = await Promise.all(Array.from({ length: 1000 }, () => client.incr('counter')));
			assert.deepEqual(counts, Array.from({ length: 1000 }, (_, index) => index + 1));
		});

		test('keeps an error in its place among other replies', async () => {
			const [first, failed, last] = await Promise.allSettled([
				client.set('text', 'abc'), client.incr('text'), client.get('text')]);
			assert.equal(first.value, 'OK');
			assert.equal(failed.reason.message, 'ERR value is not an integer or out of range');
			assert.equal(last.value, 'abc');
		});

		test('keeps every byte of a value', async () => {
			const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
			const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
			await client.set('bytes', bytes);
			assert.deepEqual(await binary.get('bytes'), bytes);
			assert.equal(await client.strLen('bytes'), bytes.length);
		});

		test('handles many keys at once', async () => {
			const names = Array.from({ length: 100 }, (_, index) => `many:${index}`);
			assert.equal(await client.mSet(names.map((name) => [name, `of ${name}`])), 'OK');
			assert.deepEqual(await client.mGet([...names, 'none']), [...names.map((name) => `of ${name}`), null]);
			assert.equal(await client.mSetNX([['fresh', '1'], [names[0], '2']]), 0);
			assert.equal(await client.exists(['fresh', ...names]), 100);
			assert.equal(await client.del(names), 100);
		});

		test('walks all keys with a cursor', async () => {
			const names = Array.from({ length: 500 }, (_, index) => `walk:${index}`);
			await client.mSet(names.map((name) => [name, 'x']));
			const found = new Set();
			for await (const keys of client.scanIterator({ MATCH: 'walk:*', COUNT: 50 })) {
				for (const key of keys) found.add(key);
			}
			assert.deepEqual([...found].sort(), names.sort());
		});

		test('lets a key expire', async () => {
			await client.set('brief', 'x');
			assert.equal(await client.pExpire('brief', 30), 1);
			await eventually(async () => (await client.get('brief')) === null);
			assert.equal(await client.pTTL('brief'), -2);
		});

		test('reads what the server says about itself', async () => {
			assert.match(await client.info('server'), /redis_version:\d+\.\d+/);
			assert.deepEqual(Object.keys(await client.configGet('maxclients')), ['maxclients']);
			const connections = await client.clientList();
			assert.ok(connections.some(({ id }) => id > 0));
		});

		test('comes back after a crash and finds every acknowledged write', async () => {
			const names = Array.from({ length: 300 }, (_, index) => `kept:${index}`);
			await Promise.all(names.map((name) => client.set(name, `of ${name}`)));
			await server.crash();
			await eventually(() => client.isReady);
			assert.deepEqual(await client.mGet(names), names.map((name) => `of ${name}`));
		});
	});

	test(`node-redis over RESP${protocol} needs the password that is set`, async () => {
		const server = await Server.start({ requirepass: 'a secret' });
		const attempt = async (password) => {
			const client = createClient({
				RESP: protocol, password, socket: { port: server.port, reconnectStrategy: false } });
			client.on('error', () => {});
			try {
				await client.connect();
				return await client.ping();
			} catch (error) {
				return error.message.split(' ')[0];
			} finally {
				client.destroy();
			}
		};
		try {
			assert.equal(await attempt('a secret'), 'PONG');
			assert.equal(await attempt('a guess'), 'WRONGPASS');
			assert.equal(await attempt(undefined), 'NOAUTH');
		} finally {
			await server.stop();
		}
	});
}
