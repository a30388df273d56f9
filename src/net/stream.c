/*
 * stream: see stream.h. All that net knows of libuv's streams is here: what is sent goes to the
 * socket directly, and to libuv's queue only when the socket takes no more.
 *
 * Threads: the loop's of the stream.
 */
#include "net/stream.h"

#include <assert.h>
#include <unistd.h>

#define STREAM_MAGIC 0x7374726du /* where a pointer has come through libuv */

static struct stream *stream_of(void *data)
{
	struct stream *stream = data;
	assert(stream->magic == STREAM_MAGIC);
	return stream;
}

static int init_tcp(struct stream *stream, struct uv_loop_s *loop, int fd, int64_t keepalive_s)
{
	int result = uv_tcp_init(loop, &stream->uv.tcp);
	assert(result == 0); /* without flags it makes no socket */
	result = uv_tcp_open(&stream->uv.tcp, fd);
	if (result == 0)
		uv_tcp_nodelay(&stream->uv.tcp, 1);
	if (result == 0 && keepalive_s > 0)
		uv_tcp_keepalive(&stream->uv.tcp, 1, (unsigned)keepalive_s);
	return result;
}

static int init_unix(struct stream *stream, struct uv_loop_s *loop, int fd)
{
	int result = uv_pipe_init(loop, &stream->uv.pipe, 0);
	assert(result == 0);
	return uv_pipe_open(&stream->uv.pipe, fd);
}

int stream_open(struct stream *stream, struct uv_loop_s *loop, int fd, enum stream_kind kind,
	int64_t keepalive_s, const struct stream_user *user)
{
	*stream = (struct stream){ .magic = STREAM_MAGIC, .user = user, .fd = fd, .is_open = true };
	int result = kind == STREAM_UNIX ? init_unix(stream, loop, fd)
					 : init_tcp(stream, loop, fd, keepalive_s);
	stream->uv.handle.data = stream;
	if (result < 0)
		close(fd);
	return result;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct stream *stream = stream_of(handle->data);
	char *room;
	size_t size;
	stream->user->room(stream, &room, &size);
	*buf = uv_buf_init(room, (unsigned)size);
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buf)
{
	struct stream *stream = stream_of(handle->data);
	if (size > 0)
		stream->user->got(stream, slice_of(buf->base, (size_t)size));
	else if (size < 0)
		stream->user->ended(stream, size == UV_EOF ? 0 : (int)size);
}

int stream_read(struct stream *stream)
{
	return uv_read_start(&stream->uv.stream, on_alloc, on_read);
}

void stream_pause(struct stream *stream)
{
	uv_read_stop(&stream->uv.stream);
}

ssize_t stream_send(struct stream *stream, struct slice bytes)
{
	uv_buf_t buf = { .base = (char *)(uintptr_t)bytes.data, .len = bytes.size };
	int sent = uv_try_write(&stream->uv.stream, &buf, 1);
	return sent == UV_EAGAIN ? 0 : sent;
}

static void on_sent(uv_write_t *write, int status)
{
	struct stream *stream = stream_of(write->data);
	stream->sends = false;
	stream->user->sent(stream, status);
}

int stream_send_rest(struct stream *stream, struct slice bytes)
{
	assert(!stream->sends);
	uv_buf_t buf = { .base = (char *)(uintptr_t)bytes.data, .len = bytes.size };
	stream->write.data = stream;
	int result = uv_write(&stream->write, &stream->uv.stream, &buf, 1, on_sent);
	stream->sends = result == 0;
	return result;
}

size_t stream_unsent(const struct stream *stream)
{
	return stream->sends ? uv_stream_get_write_queue_size(&stream->uv.stream) : 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct stream *stream = stream_of(handle->data);
	stream->is_open = false;
	stream->fd = -1;
	stream->user->closed(stream);
}

void stream_close(struct stream *stream)
{
	assert(stream->is_open);
	uv_close(&stream->uv.handle, on_closed);
}
