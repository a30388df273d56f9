/*
 * commands: the handlers of DO.*. Arguments of each: see the command table and README.
 */
#ifndef OBJECT_COMMANDS_H
#define OBJECT_COMMANDS_H

#include "request/turn.h"

struct connection;

/* storage_commands.c */
void do_get(struct turn *turn);
void do_put(struct turn *turn);
void do_del(struct turn *turn);
void do_list(struct turn *turn);
void do_deleteall(struct turn *turn);
void do_setalarm(struct turn *turn);
void do_getalarm(struct turn *turn);
void do_delalarm(struct turn *turn);
void do_expire(struct turn *turn);
void do_ttl(struct turn *turn);
void do_persist(struct turn *turn);

/* transfer_commands.c */
void do_newid(struct connection *connection, struct request *request);
void do_export(struct turn *turn);
void do_import(struct turn *turn);

/* survey_commands.c: walk the shards */
void do_objects(struct turn *turn);
void do_info(struct turn *turn);
void do_alarms(struct turn *turn);
void do_wake(struct turn *turn);

/* Shard 0 stores the classes. */
#define CLASS_SHARD 0

/* class_commands.c: on shard 0, DROP on all */
void do_class_load(struct turn *turn);
void do_class_list(struct turn *turn);
void do_class_source(struct turn *turn);
void do_class_drop(struct turn *turn);
/* class_reload.c */
void do_class_reload(struct turn *turn);

/* call_commands.c */
void do_call(struct turn *turn);
void do_calljson(struct turn *turn);
void do_runalarm(struct turn *turn);
void do_evict(struct turn *turn);

#endif
