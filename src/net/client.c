/*
 * client: see client.h. What CLIENT LIST shows is written so that other threads may read it:
 * numbers twice, once as an atomic, and texts under the lock of the list.
 *
 * Threads: the loop's of its connection.
 */
#include "net/client.h"

#include <string.h>

void client_init(struct client *client, uint64_t id, pthread_mutex_t *lock, int64_t now_ms)
{
	client->lock = lock;
	client->asker.id = id;
	client->created_ms = now_ms;
	client->active_ms = now_ms;
	client_set_protocol(client, 2);
}

void client_set_addresses(struct client *client, const char *address, const char *local_address)
{
	strncpy(client->address, address, CLIENT_ADDRESS_BYTES_MAX);
	strncpy(client->local_address, local_address, CLIENT_ADDRESS_BYTES_MAX);
}

void client_set_db(struct client *client, uint8_t db)
{
	client->db = db;
	client->shared_db = db;
}

void client_set_protocol(struct client *client, uint8_t protocol)
{
	client->protocol = protocol;
	client->shared_protocol = protocol;
}

void client_set_text(struct client *client, char *field, struct slice text)
{
	size_t size = text.size < CLIENT_NAME_BYTES_MAX ? text.size : CLIENT_NAME_BYTES_MAX;
	pthread_mutex_lock(client->lock);
	memcpy(field, text.data, size);
	field[size] = '\0';
	pthread_mutex_unlock(client->lock);
}
