// The life of a login session in express-session with the connect-redis store, over HTTP.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { RedisStore } from 'connect-redis';
import session from 'express-session';
import { createClient } from 'redis';

import { eventually, Server } from './server.js';

const LIFE_SECONDS = 100;
let server;
let client;
let store;
let web;

before(async () => {
	server = await Server.start();
	client = createClient({ socket: { port: server.port } });
	client.on('error', () => {}); // a crash of the server is part of these tests
	await client.connect();
	store = new RedisStore({ client, prefix: 'login:', ttl: LIFE_SECONDS });
	web = createServer(serve(session({ store, secret: 's', resave: false, saveUninitialized: false })));
	await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));
});
after(async () => {
	web?.close();
	web?.closeAllConnections();
	client?.destroy();
	await server?.stop();
});

/** /in makes a session, /out ends it, anything else counts visits and shows it. */
function serve(sessions) {
	return (request, response) => sessions(request, response, async (error) => {
		if (error) {
			response.writeHead(500).end(String(error));
		} else if (request.url === '/in') {
			request.session.user = 'ada';
			response.end('{}');
		} else if (request.url === '/out') {
			request.session.destroy(() => response.end('{}'));
		} else {
			if (request.session.user) request.session.visits = (request.session.visits ?? 0) + 1;
			const { user, visits } = request.session;
			response.end(JSON.stringify({ user, visits }));
		}
	});
}

async function visit(path, cookie) {
	const headers = cookie ? { cookie } : {};
	const response = await fetch(`http://127.0.0.1:${web.address().port}${path}`, { headers });
	assert.equal(response.status, 200);
	const given = response.headers.get('set-cookie')?.split(';')[0];
	return { cookie: given ?? cookie, seen: JSON.parse(await response.text()) };
}

test('a session lives from log-in to log-out', async () => {
	const { cookie } = await visit('/in');
	assert.ok(cookie);
	assert.deepEqual((await visit('/', cookie)).seen, { user: 'ada', visits: 1 });
	assert.deepEqual((await visit('/', cookie)).seen, { user: 'ada', visits: 2 });
	await visit('/out', cookie);
	assert.deepEqual((await visit('/', cookie)).seen, {});
});

test('a visitor without a session leaves nothing behind', async () => {
	await client.flushAll();
	assert.deepEqual((await visit('/')).seen, {});
	assert.equal(await client.dbSize(), 0);
});

test('a visit prolongs the life of its session', async () => {
	await client.flushAll();
	const { cookie } = await visit('/in');
	const [key] = await client.keys('login:*');
	await client.expire(key, 10);
	await visit('/', cookie);
	assert.ok((await client.ttl(key)) > 90);
});

test('an expired session is as if it had never been', async () => {
	await client.flushAll();
	const { cookie } = await visit('/in');
	const [key] = await client.keys('login:*');
	await client.pExpire(key, 20);
	await eventually(async () => (await client.exists(key)) === 0);
	assert.deepEqual((await visit('/', cookie)).seen, {});
});

test('a session survives a crash of its server', async () => {
	const { cookie } = await visit('/in');
	await visit('/', cookie);
	await server.crash();
	await eventually(() => client.isReady);
	assert.deepEqual((await visit('/', cookie)).seen, { user: 'ada', visits: 2 });
});

test('the store lists, counts and clears its sessions', async () => {
	await client.flushAll();
	await client.set('other', 'stays');
	for (let index = 0; index < 250; index++) {
		await store.set(`id${index}`, { cookie: {}, number: index });
	}
	const all = await store.all();
	assert.deepEqual(all.map(({ number }) => number).sort((a, b) => a - b), [...Array(250).keys()]);
	assert.equal((await store.ids()).length, 250);
	assert.equal(await store.length(), 250);
	await store.clear();
	assert.equal(await store.length(), 0);
	assert.equal(await client.get('other'), 'stays');
});
