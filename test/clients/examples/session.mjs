// A login session with node-redis: from log-in to log-out everywhere.
import { createClient } from 'redis';

const db = createClient({ socket: { port: process.env.HOLDFAST_PORT ?? 6379 } });
const waiting = db.duplicate(); // SESSION.LEASE may wait, and what is sent after it with it
await Promise.all([db.connect(), waiting.connect()]);
const session = (...words) => db.sendCommand(words.map(String));

// Log-in. It ends after half an hour without use, and after eight hours at the latest.
let id = await session(
	'SESSION.CREATE', 'USER', 'ada', 'DATA', '{"cart":[]}', 'TTL', 1800, 'ABSOLUTE', 28800);

// Each request. null: there is no such session (any more), log in again.
const data = JSON.parse(await session('SESSION.GET', id, 'DATA'));
await session('SESSION.UPDATE', id, JSON.stringify({ cart: [...data.cart, 'book'] }));

// More rights, another id. Requests that are under way may use the old one for ten seconds.
id = await session('SESSION.ROTATE', id, 'GRACE', 10);
console.log('cart:', ...JSON.parse(await session('SESSION.FIELD', id, 'cart')));

// Of all who find the access token expired, one fetches a new one; the others are told it.
async function refreshAccessToken(fetch) {
	const [lease, , told] = await waiting.sendCommand(['SESSION.LEASE', id, 'oauth', 'WAIT', '5000']);
	if (!lease) return JSON.parse(told).token;
	const token = await fetch();
	await session('SESSION.COMMIT', id, 'oauth', lease, JSON.stringify({ token }));
	return token;
}
const fetch = async () => 'new';
console.log('token:', ...new Set(await Promise.all([1, 2, 3].map(() => refreshAccessToken(fetch)))));

// Log out everywhere.
console.log('ended:', await session('SESSION.DELUSER', 'ada'));
console.log('after:', await session('SESSION.GET', id));
await Promise.all([db.close(), waiting.close()]);
