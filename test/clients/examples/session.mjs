// A login session with node-redis: from log-in to log-out everywhere.
import { createClient, createClientPool } from 'redis';

const socket = { port: process.env.HOLDFAST_PORT ?? 6379 };
const db = await createClient({ socket }).connect();
const session = (...words) => db.sendCommand(words.map(String));
// SESSION.LEASE may wait, and what is sent behind it with it: it has connections of its own.
const pool = await createClientPool({ socket }, { maximum: 8, acquireTimeout: 30_000 }).connect();

// Log-in. It ends after half an hour without use, and after eight hours at the latest.
const oauth = { access: 'old', refresh: 'works once', until: 0 };
let id = await session('SESSION.CREATE', 'USER', 'ada', 'DATA', JSON.stringify({ cart: [], oauth }),
	'TTL', 1800, 'ABSOLUTE', 28800);

// Each request. null: there is no such session (any more), log in again.
const data = JSON.parse(await session('SESSION.GET', id, 'DATA'));
await session('SESSION.UPDATE', id, JSON.stringify({ cart: [...data.cart, 'book'] }));

// More rights, another id. Requests that are under way may use the old one for ten seconds.
id = await session('SESSION.ROTATE', id, 'GRACE', 10);
console.log('cart:', ...JSON.parse(await session('SESSION.FIELD', id, 'cart')));

// The access token; null: the session has ended, log in again. Of all who find it expired, one
// fetches a new one.
async function accessToken(id, fetch) {
	for (let tries = 0; tries < 4; tries++) {
		const read = await session('SESSION.GET', id);
		if (!read) return null;
		const { oauth } = JSON.parse(read.data);
		if (oauth.until > Date.now()) return oauth.access;
		// The lease ends with its connection, which is ours until the new tokens are stored.
		const token = await pool.execute((own) => refresh(own, id, read.version, oauth, fetch));
		if (token !== undefined) return token;
	}
	throw new Error('somebody else is still fetching a new token');
}

// undefined: somebody else has fetched it, or still does: look again.
async function refresh(own, id, version, oauth, fetch) {
	const call = (...words) => own.sendCommand(words.map(String));
	const reply = await call('SESSION.LEASE', id, 'oauth', 'MS', 30_000, 'WAIT', 5000,
		'IFVERSION', version);
	if (!reply) return null;
	if (!reply[0]) return undefined;
	let fresh;
	try {
		fresh = await fetch(oauth.refresh);
	} catch (error) { // the next in line tries
		await call('SESSION.RELEASE', id, 'oauth', reply[0]).catch(() => {});
		throw error;
	}
	const change = JSON.stringify({ oauth: fresh });
	try {
		await call('SESSION.COMMIT', id, 'oauth', reply[0], change);
	} catch (error) {
		if (error.message.startsWith('SESSIONGONE')) return null;
		if (!error.message.startsWith('LEASELOST')) throw error;
		await call('SESSION.UPDATE', id, change); // it took long; the old tokens work no more
	}
	return fresh.access;
}

let fetched = 0;
async function fetchTokens(refresh) { // would ask the provider
	fetched++;
	return { access: 'new', refresh: `after ${refresh}`, until: Date.now() + 3600_000 };
}
const callers = Array.from({ length: 1000 }, () => accessToken(id, fetchTokens));
console.log('token:', ...new Set(await Promise.all(callers)), 'fetched:', fetched);

// Log out everywhere.
console.log('ended:', await session('SESSION.DELUSER', 'ada'));
console.log('after:', await accessToken(id, fetchTokens));
await Promise.all([db.close(), pool.close()]);
