/*
 * stream: moves bytes between the server and one client's socket, and does not know what they mean.
 * Sockets are plain, TCP or unix; TLS can come behind the same functions.
 *
 *   stream_open --> stream_read: `got` ... `ended`    stream_send, stream_send_rest: `sent`
 *     --> stream_close --> `closed`
 *
 * Threads: its loop's.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct stream;

/* What its user is told; never from within one of the functions below. */
struct stream_user {
	/* Room for the next read. `got` follows if bytes have come; nothing is kept in it. */
	void (*room)(struct stream *stream, char **out, size_t *size);
	void (*got)(struct stream *stream, struct slice bytes);
	/* 0: the peer sends no more; negative errno: the stream is broken. */
	void (*ended)(struct stream *stream, int error);
	/* All that stream_send_rest was given has gone (0), or never will (negative errno). */
	void (*sent)(struct stream *stream, int error);
	/* The socket is closed, and the memory is the user's again. */
	void (*closed)(struct stream *stream);
};

enum stream_kind { STREAM_TCP, STREAM_UNIX };

struct stream {
	uint32_t magic;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	const struct stream_user *user;
	int fd;
	bool is_open; /* from stream_open until `closed` */
	uv_write_t write;
	bool sends; /* stream_send_rest has been called, and `sent` has not */
};

/* Owns the socket from here on, also when it fails: then stream_close is still to be called.
 * `keepalive_s` 0: the kernel does not ask idle peers. 0 or negative errno. */
int stream_open(struct stream *stream, struct uv_loop_s *loop, int fd, enum stream_kind kind,
	int64_t keepalive_s, const struct stream_user *user);
/* `got` is called whenever bytes come, until stream_pause. 0 or negative errno. */
int stream_read(struct stream *stream);
void stream_pause(struct stream *stream);
/* Returns how many bytes the socket has taken at once, or negative errno. */
ssize_t stream_send(struct stream *stream, struct slice bytes);
/* Sends what stream_send did not; borrowed until `sent`, one at a time. 0 or negative errno. */
int stream_send_rest(struct stream *stream, struct slice bytes);
/* Bytes of stream_send_rest that have not gone. */
size_t stream_unsent(const struct stream *stream);
/* `closed` follows by an event of its own. */
void stream_close(struct stream *stream);

#endif
