// Publish and subscribe through ioredis and node-redis, over both protocols.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';

import { Redis } from 'ioredis';
import { createClient } from 'redis';

import { eventually, Server } from './server.js';

const COUNT = 500;

for (const protocol of [2, 3]) {
	describe(`publish and subscribe over RESP${protocol}`, () => {
		let server;
		before(async () => {
			server = await Server.start();
		});
		after(() => server?.stop());

		test('ioredis hears channels and patterns, in order', async (t) => {
			const listener = new Redis({ port: server.port, protocol });
			const publisher = new Redis({ port: server.port, protocol });
			t.after(() => [listener, publisher].forEach((client) => client.disconnect()));
			const heard = [];
			const matched = [];
			listener.on('message', (channel, message) => heard.push([channel, message]));
			listener.on('pmessage', (...words) => matched.push(words));
			assert.equal(await listener.subscribe('news', 'other'), 2);
			assert.equal(await listener.psubscribe('n*'), 3);
			const counts = await Promise.all(Array.from({ length: COUNT },
				(_, index) => publisher.publish('news', `${index}`)));
			assert.deepEqual(new Set(counts), new Set([2]));
			await eventually(() => matched.length === COUNT);
			assert.deepEqual(heard, Array.from({ length: COUNT }, (_, index) => ['news', `${index}`]));
			assert.deepEqual(matched[7], ['n*', 'news', '7']);
			assert.equal(await listener.unsubscribe('news', 'other'), 1);
			assert.equal(await listener.punsubscribe('n*'), 0);
			assert.equal(await publisher.publish('news', 'late'), 0);
			assert.equal(await listener.set('key', 'value'), 'OK');
		});

		test('ioredis subscribes again after the server has crashed', async (t) => {
			const listener = new Redis({ port: server.port, protocol, retryStrategy: () => 20 });
			listener.on('error', () => {});
			t.after(() => listener.disconnect());
			const heard = [];
			listener.on('message', (channel, message) => heard.push(message));
			await listener.subscribe('news');
			await server.crash();
			const publisher = new Redis({ port: server.port, protocol });
			t.after(() => publisher.disconnect());
			await once(publisher, 'ready');
			await eventually(async () => await publisher.publish('news', 'again') === 1);
			await eventually(() => heard.length === 1);
		});

		test('node-redis hears channels, patterns and bytes', async (t) => {
			const open = () => createClient({ RESP: protocol, socket: { port: server.port } }).connect();
			const [listener, publisher] = [await open(), await open()];
			t.after(() => [listener, publisher].forEach((client) => client.destroy()));
			const heard = [];
			const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
			await listener.subscribe('a', (message, channel) => heard.push([channel, message]));
			await listener.pSubscribe('b?', (message, channel) => heard.push([channel, message]), true);
			assert.equal(await publisher.publish('a', 'text'), 1);
			assert.equal(await publisher.publish('b1', bytes), 1);
			await eventually(() => heard.length === 2);
			assert.deepEqual(heard, [['a', 'text'], [Buffer.from('b1'), bytes]]);
			assert.deepEqual(await publisher.pubSubChannels(), ['a']);
			assert.deepEqual({ ...await publisher.pubSubNumSub('a') }, { a: 1 });
			assert.equal(await publisher.pubSubNumPat(), 1);
			await listener.ping();
			await listener.unsubscribe();
			await listener.pUnsubscribe();
			assert.equal(await listener.get('none'), null);
		});
	});
}
