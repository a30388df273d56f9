/*
 * session_check: whether the stores agree with themselves and with the model.
 */
#ifndef TEST_SIM_SESSION_CHECK_H
#define TEST_SIM_SESSION_CHECK_H

#include "sim/session_client.h"

/* Records, the index of users and the counts, between two turns. `settled`: what is over has gone
 * as well. */
void session_check(struct client_host *host, int64_t now_ms, bool settled);

#endif
