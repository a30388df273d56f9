// ioredis, which asks INFO whether the server is ready before it sends anything else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';

import { Redis } from 'ioredis';

import { eventually, Server } from './server.js';

for (const protocol of [2, 3]) {
	describe(`ioredis over RESP${protocol}`, () => {
		let server;
		let client;

		before(async () => {
			server = await Server.start();
			client = new Redis({ port: server.port, protocol, retryStrategy: () => 20 });
			client.on('error', () => {}); // a crash of the server is part of these tests
			await once(client, 'ready');
		});
		after(async () => {
			client?.disconnect();
			await server?.stop();
		});
		beforeEach(() => client.flushall());

		test('stores and reads with options as words', async () => {
			assert.equal(await client.set('key', 'one', 'EX', 100, 'NX'), 'OK');
			assert.equal(await client.set('key', 'two', 'EX', 100, 'NX'), null);
			assert.equal(await client.set('key', 'two', 'KEEPTTL', 'GET'), 'one');
			assert.equal(await client.ttl('key'), 100);
			assert.equal(await client.getex('key', 'PERSIST'), 'two');
			assert.equal(await client.ttl('key'), -1);
		});

		test('tells each result and error of a pipeline apart', async () => {
			const results = await client.pipeline().set('text', 'abc').incr('text').append('text', 'd')
				.getrange('text', 1, -1).exec();
			assert.deepEqual(results.map(([error, value]) => error?.message ?? value),
				['OK', 'ERR value is not an integer or out of range', 4, 'bcd']);
		});

		test('answers a pipeline of ten thousand commands', async () => {
			const pipeline = client.pipeline();
			for (let index = 0; index < 10_000; index++) pipeline.incr(`count:${index % 7}`);
			const results = await pipeline.exec();
			assert.equal(results.length, 10_000);
			assert.deepEqual(results.at(-1), [null, Math.ceil(10_000 / 7)]);
		});

		test('keeps every byte of keys and values', async () => {
			const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
			await client.set(bytes, bytes);
			assert.deepEqual(await client.getBuffer(bytes), bytes);
		});

		test('streams all keys through SCAN', async () => {
			const names = Array.from({ length: 300 }, (_, index) => `walk:${index}`);
			await client.mset(Object.fromEntries(names.map((name) => [name, 'x'])));
			const found = new Set();
			for await (const keys of client.scanStream({ match: 'walk:*' })) {
				for (const key of keys) found.add(key);
			}
			assert.deepEqual([...found].sort(), names.sort());
		});

		test('renames and copies between any keys', async () => {
			await client.mset({ a: '1', b: '2' });
			assert.equal(await client.rename('a', 'c'), 'OK');
			assert.equal(await client.renamenx('b', 'c'), 0);
			assert.equal(await client.copy('c', 'd'), 1);
			assert.deepEqual(await client.mget('a', 'b', 'c', 'd'), [null, '2', '1', '1']);
			await assert.rejects(client.rename('none', 'x'), { message: 'ERR no such key' });
		});

		test('selects only databases that exist', async () => {
			const other = client.duplicate(); // one that remembers its last choice for reconnecting
			assert.equal(await other.select(15), 'OK');
			await assert.rejects(other.select(16), { message: 'ERR DB index is out of range' });
			other.disconnect();
		});

		test('comes back after a crash and finds every acknowledged write', async () => {
			const names = Array.from({ length: 300 }, (_, index) => `kept:${index}`);
			await Promise.all(names.map((name) => client.set(name, `of ${name}`)));
			await server.crash();
			await eventually(() => client.status === 'ready');
			assert.deepEqual(await client.mget(names), names.map((name) => `of ${name}`));
		});
	});
}
