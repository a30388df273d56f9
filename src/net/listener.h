/*
 * listener: the sockets that accept. See listener.c.
 *
 * Threads: opened and closed by the main thread while no loop runs; the rest on the first loop that
 * serves connections.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/protocol.h"
#include "net/stream.h"

#include <stddef.h>

struct net;

#define LISTENERS_MAX 17

struct listener {
	uint32_t magic;
	struct net *net;
	uv_poll_t poll;
	int fd;
	enum stream_kind kind;
	enum protocol_kind protocol; /* what its clients speak */
};

/* 0, or negative errno and one line in `error`. */
int listener_open_all(struct net *net, char *error, size_t error_size);
int listener_start_all(struct net *net);
/* Accepts again after descriptors had run out. */
void listener_resume_all(struct net *net);
void listener_stop_all(struct net *net);
void listener_close_sockets(struct net *net);

#endif
