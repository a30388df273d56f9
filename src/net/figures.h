/*
 * figures: what loops count of commands and of errors. See figures.c; net.h has those who read.
 *
 * Threads: see figures.c.
 */
#ifndef NET_FIGURES_H
#define NET_FIGURES_H

#include "base/slice.h"

struct command;
struct net;
struct net_loop;
struct request;

void figures_open(struct net *net);
void figures_close(struct net *net);
void figures_open_loop(struct net_loop *loop);
void figures_close_loop(struct net_loop *loop);
/* The request has run. */
void figures_count_command(struct net_loop *loop, const struct request *request);
/* It was answered with an error before it ran. */
void figures_count_rejected(struct net_loop *loop, const struct command *command);
/* A reply that is an error. */
void figures_count_error(struct net *net, struct slice reply);

#endif
