/*
 * admin: the handlers of commands about connections and the server: everything but data. Those for
 * ROUTE_LOCAL run on the connection's loop, in order and at once, so that what they change of the
 * connection holds for the next command of the same pipeline.
 *
 * Semantics, reply types and error texts are Redis 7.2's unless a line says otherwise.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "request/request.h"
#include "request/turn.h"

/* connection_commands.c */
void admin_hello(struct connection *connection, struct request *request);
void admin_auth(struct connection *connection, struct request *request);
void admin_ping(struct connection *connection, struct request *request);
void admin_echo(struct connection *connection, struct request *request);
void admin_select(struct connection *connection, struct request *request);
void admin_quit(struct connection *connection, struct request *request);
void admin_reset(struct connection *connection, struct request *request);

/* client_commands.c */
void admin_client_id(struct connection *connection, struct request *request);
void admin_client_setname(struct connection *connection, struct request *request);
void admin_client_getname(struct connection *connection, struct request *request);
void admin_client_setinfo(struct connection *connection, struct request *request);
void admin_client_reply(struct connection *connection, struct request *request);
void admin_client_no_evict(struct connection *connection, struct request *request);
void admin_client_no_touch(struct connection *connection, struct request *request);
void admin_client_pause(struct connection *connection, struct request *request);
void admin_client_tracking(struct connection *connection, struct request *request);
void admin_client_trackinginfo(struct connection *connection, struct request *request);
void admin_client_getredir(struct connection *connection, struct request *request);

/* client_list.c */
void admin_client_info(struct connection *connection, struct request *request);
void admin_client_list(struct connection *connection, struct request *request);
void admin_client_kill(struct connection *connection, struct request *request);

/* command_commands.c */
void admin_command(struct connection *connection, struct request *request);
void admin_command_count(struct connection *connection, struct request *request);
void admin_command_info(struct connection *connection, struct request *request);
void admin_command_docs(struct connection *connection, struct request *request);
void admin_command_list(struct connection *connection, struct request *request);
void admin_command_getkeys(struct connection *connection, struct request *request);

/* pubsub_commands.c */
void admin_publish(struct connection *connection, struct request *request);
void admin_subscribe(struct connection *connection, struct request *request);
void admin_unsubscribe(struct connection *connection, struct request *request);
void admin_psubscribe(struct connection *connection, struct request *request);
void admin_punsubscribe(struct connection *connection, struct request *request);
void admin_pubsub_channels(struct connection *connection, struct request *request);
void admin_pubsub_numpat(struct connection *connection, struct request *request);
void admin_pubsub_numsub(struct connection *connection, struct request *request);

/* config_commands.c */
void admin_config_get(struct connection *connection, struct request *request);
void admin_config_set(struct connection *connection, struct request *request);
void admin_config_resetstat(struct connection *connection, struct request *request);
void admin_config_rewrite(struct connection *connection, struct request *request);

/* info.c. ROUTE_WALK: visits the shards when key counts are wanted, else only the first. */
void admin_info(struct turn *turn);

/* latency_commands.c */
void admin_latency_latest(struct connection *connection, struct request *request);
void admin_latency_history(struct connection *connection, struct request *request);
void admin_latency_reset(struct connection *connection, struct request *request);
void admin_latency_doctor(struct connection *connection, struct request *request);
void admin_latency_histogram(struct connection *connection, struct request *request);

/* memory_commands.c */
void admin_memory_doctor(struct connection *connection, struct request *request);
void admin_memory_stats(struct connection *connection, struct request *request);
void admin_memory_purge(struct connection *connection, struct request *request);

/* server_commands.c */
void admin_time(struct connection *connection, struct request *request);
void admin_role(struct connection *connection, struct request *request);
void admin_wait(struct connection *connection, struct request *request);
void admin_waitaof(struct connection *connection, struct request *request);
void admin_save(struct connection *connection, struct request *request);
void admin_bgsave(struct connection *connection, struct request *request);
void admin_bgrewriteaof(struct connection *connection, struct request *request);
void admin_lastsave(struct connection *connection, struct request *request);
void admin_shutdown(struct connection *connection, struct request *request);
void admin_lolwut(struct connection *connection, struct request *request);
/* FUNCTION FLUSH and SCRIPT FLUSH: there are none to flush. */
void admin_flush_scripts(struct connection *connection, struct request *request);
/* READONLY, READWRITE, CLIENT UNPAUSE: what they ask for is so already. */
void admin_ok(struct connection *connection, struct request *request);
void admin_cluster(struct connection *connection, struct request *request);
/* HELP of any container, from the command table: its subcommands, or the commands of a family
 * (`SESSION HELP` lists SESSION.GET and its kin). A family needs two rows: `session`, a group, and
 * `session|help`. */
void admin_help(struct connection *connection, struct request *request);

/* slowlog_commands.c */
void admin_slowlog_get(struct connection *connection, struct request *request);
void admin_slowlog_len(struct connection *connection, struct request *request);
void admin_slowlog_reset(struct connection *connection, struct request *request);

#endif
