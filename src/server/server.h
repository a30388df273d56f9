/*
 * server: one running Holdfast: built from a configuration, run until it is told to stop.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"

/* Opens the data, listens, says the banner, serves until SIGTERM, SIGINT or SHUTDOWN, then drains
 * and checkpoints. Returns the process's exit code: 0, or 1 when it could not start (one line says
 * why). */
int server_run(struct config *config);

#endif
