/*
 * client: rules for what clients say of themselves.
 */
#ifndef ADMIN_CLIENT_H
#define ADMIN_CLIENT_H

#include "request/request.h"

/* Names and library texts: printable ASCII without blanks, so that CLIENT LIST can be parsed.
 * False: answered with an error about `what`. */
bool client_accept_text(struct request *request, struct slice text, struct slice what);

#endif
