// A login session with ioredis: from log-in to log-out everywhere.
import { Redis } from 'ioredis';

const db = new Redis(process.env.HOLDFAST_PORT ?? 6379);
const waiting = db.duplicate(); // SESSION.LEASE may wait, and what is sent after it with it

// Log-in. It ends after half an hour without use, and after eight hours at the latest.
let id = await db.call(
	'SESSION.CREATE', 'USER', 'ada', 'DATA', '{"cart":[]}', 'TTL', 1800, 'ABSOLUTE', 28800);

// Each request. null: there is no such session (any more), log in again.
const data = JSON.parse(await db.call('SESSION.GET', id, 'DATA'));
await db.call('SESSION.UPDATE', id, JSON.stringify({ cart: [...data.cart, 'book'] }));

// More rights, another id. Requests that are under way may use the old one for ten seconds.
id = await db.call('SESSION.ROTATE', id, 'GRACE', 10);
console.log('cart:', ...JSON.parse(await db.call('SESSION.FIELD', id, 'cart')));

// Of all who find the access token expired, one fetches a new one; the others are told it.
async function refreshAccessToken(fetch) {
	const [lease, , told] = await waiting.call('SESSION.LEASE', id, 'oauth', 'WAIT', 5000);
	if (!lease) return JSON.parse(told).token;
	const token = await fetch();
	await db.call('SESSION.COMMIT', id, 'oauth', lease, JSON.stringify({ token }));
	return token;
}
const fetch = async () => 'new';
console.log('token:', ...new Set(await Promise.all([1, 2, 3].map(() => refreshAccessToken(fetch)))));

// Log out everywhere.
console.log('ended:', await db.call('SESSION.DELUSER', 'ada'));
console.log('after:', await db.call('SESSION.GET', id));
db.disconnect();
waiting.disconnect();
