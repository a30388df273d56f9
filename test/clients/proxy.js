// Stands between a client and a server and answers in its place what a test chooses: outcomes that
// are rare become the usual ones. One request of a connection is under way at a time.

import { connect, createServer } from 'node:net';

/** The end of the RESP value that begins at `at`; -1 when it is not whole yet. */
function endOf(bytes, at) {
	const line = bytes.indexOf('\r\n', at);
	if (line < 0) return -1;
	const type = String.fromCharCode(bytes[at]);
	const size = Number(bytes.subarray(at + 1, line));
	let end = line + 2;
	if ('$=!'.includes(type) && size >= 0) {
		end += size + 2;
		return end <= bytes.length ? end : -1;
	}
	const values = { '*': 1, '>': 1, '~': 1, '%': 2 }[type] ?? 0;
	for (let i = 0; i < values * size && end >= 0; i++) end = endOf(bytes, end);
	return end;
}

function wordsOf(request) {
	const words = [];
	for (let at = request.indexOf('\r\n') + 2; at < request.length;) {
		const end = endOf(request, at);
		words.push(String(request.subarray(request.indexOf('\r\n', at) + 2, end - 2)));
		at = end;
	}
	return words;
}

const encode = (words) =>
	`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

/** Calls `whole` with each RESP value that the socket brings. */
function onValues(socket, whole) {
	let bytes = Buffer.alloc(0);
	socket.on('data', (more) => {
		bytes = Buffer.concat([bytes, more]);
		for (let end = endOf(bytes, 0); end > 0; end = bytes.length ? endOf(bytes, 0) : -1) {
			whole(bytes.subarray(0, end));
			bytes = bytes.subarray(end);
		}
	});
}

/**
 * `decide(words, nothing)` says what happens to a command: undefined lets it pass; a text is the
 * reply, where `nothing` is null as the connection's protocol writes it; `{ send, reply }` gives the
 * server other words first.
 */
export function startProxy(port, decide) {
	const sockets = new Set();
	const proxy = createServer((client) => {
		const server = connect(port, '127.0.0.1');
		const requests = [];
		let nothing = '$-1\r\n';
		let instead; // of the reply that is under way
		let waits = false;
		const next = () => {
			while (!waits && requests.length) {
				const request = requests.shift();
				const words = wordsOf(request);
				if (words[0].toUpperCase() === 'HELLO' && words[1] === '3') nothing = '_\r\n';
				const decided = decide(words, nothing);
				if (typeof decided === 'string') {
					client.write(decided);
					continue;
				}
				instead = decided?.reply;
				waits = true;
				server.write(decided ? encode(decided.send) : request);
			}
		};
		onValues(client, (request) => {
			requests.push(request);
			next();
		});
		onValues(server, (reply) => {
			client.write(instead ?? reply);
			waits = false;
			next();
		});
		for (const [one, other] of [[client, server], [server, client]]) {
			sockets.add(one);
			one.on('error', () => {});
			one.on('close', () => {
				sockets.delete(one);
				other.destroy();
			});
		}
	});
	return new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve({
		port: proxy.address().port,
		stop() {
			proxy.close();
			sockets.forEach((socket) => socket.destroy());
		},
	})));
}
