/*
 * Opening and closing net: what it listens on, what it says when it cannot, and whom it turns away
 * at the door. The door is a unix socket in the rig's directory.
 */
#include "net_fixture.h"

#include <sys/stat.h>
#include <sys/un.h>

static int set_up(void **state)
{
	*state = fixture_new(1, 1);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static int knock(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socket_path(f, address.sun_path, sizeof(address.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	run_loops(f);
	return fd;
}

static bool socket_exists(const struct fixture *f)
{
	char path[128];
	struct stat status;
	socket_path(f, path, sizeof(path));
	return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static void serves_whoever_comes_by_the_unix_socket(void **state)
{
	struct fixture *f = *state;
	struct net_stats stats;
	int client = knock(f);
	say(f, client, "PING\r\n");
	assert_string_equal(hear(f, client), "+PONG\r\n");
	net_stats(f->net, &stats);
	assert_int_equal(stats.clients, 1);
	assert_int_equal(stats.connections_received, 1);
	assert_int_equal(stats.commands, 1);
	assert_true(stats.input_bytes == 6 && stats.output_bytes == 7);
	close(client);
	run_loops(f);
	net_stats(f->net, &stats);
	assert_int_equal(stats.clients, 0);
}

static void one_client_too_many_is_told_so(void **state)
{
	struct fixture *f = *state;
	struct net_stats stats;
	f->rig.config.clients_max = 2;
	int first = knock(f), second = knock(f), third = knock(f);
	assert_string_equal(hear(f, third), "-" ERROR_MAX_CLIENTS "\r\n");
	assert_null(hear(f, third));
	net_stats(f->net, &stats);
	assert_int_equal(stats.connections_rejected, 1);
	close(first);
	run_loops(f);
	int fourth = knock(f);
	say(f, fourth, "PING\r\n");
	assert_string_equal(hear(f, fourth), "+PONG\r\n");
	close(second);
	close(third);
	close(fourth);
}

static void the_socket_file_goes_with_the_server(void **state)
{
	struct fixture *f = *state;
	assert_true(socket_exists(f));
	stop_net(f);
	assert_false(socket_exists(f));
	assert_int_equal(knock(f), -1);
}

static void another_server_on_the_socket_is_not_pushed_away(void **state)
{
	struct fixture *f = *state;
	struct net *running = f->net;
	assert_true(open_net(f) < 0);
	assert_non_null(strstr(f->rig.error, "/socket"));
	assert_non_null(strstr(f->rig.error, strerror(EADDRINUSE)));
	f->net = running;
	assert_true(socket_exists(f));
	int client = knock(f);
	say(f, client, "PING\r\n");
	assert_string_equal(hear(f, client), "+PONG\r\n");
	close(client);
}

static void a_socket_file_left_by_a_crash_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	stop_net(f);
	socket_path(f, address.sun_path, sizeof(address.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* nobody listens */
	assert_true(socket_exists(f));
	assert_int_equal(open_net(f), 0);
	int client = knock(f);
	assert_true(client >= 0);
	close(client);
}

static void a_plain_file_in_the_sockets_place_stays(void **state)
{
	struct fixture *f = *state;
	char path[128], byte;
	stop_net(f);
	socket_path(f, path, sizeof(path));
	FILE *file = fopen(path, "w");
	fputs("x", file);
	fclose(file);
	assert_true(open_net(f) < 0);
	assert_non_null(strstr(f->rig.error, path));
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(&byte, 1, 1, file), 1);
	fclose(file);
	unlink(path);
	f->net = NULL;
}

/* The listener's loop accepts one more while the other loop, which its timer has told of the stop,
 * is about to close. */
static void a_client_accepted_at_the_last_moment_is_hung_up_on(void **state)
{
	struct fixture *f = *state;
	int ends[2];
	char byte;
	fixture_free(f);
	*state = f = fixture_new(2, 2);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	struct arrival *arrival = memory_zeroed(sizeof(*arrival));
	arrival->fd = ends[1];
	f->net->loops[1].client_count++;
	loop_give_arrival(&f->net->loops[1], arrival);
	f->net->stopping = true;
	for (uint16_t i = 0; i < 2; i++)
		f->net->loops[i].timer.timer_cb(&f->net->loops[i].timer);
	stop_net(f);
	assert_int_equal(recv(ends[0], &byte, 1, 0), 0);
	close(ends[0]);
}

static void with_nothing_to_listen_on_it_says_so(void **state)
{
	struct fixture *f = *state;
	stop_net(f);
	configure(f, "unixsocket", "");
	assert_int_equal(open_net(f), -EINVAL);
	assert_non_null(strstr(f->rig.error, "nothing to listen on"));
	assert_null(f->net);
}

static void an_address_that_is_none_is_named(void **state)
{
	struct fixture *f = *state;
	stop_net(f);
	configure(f, "port", "1");
	configure(f, "bind", "300.1.2.3");
	assert_true(open_net(f) < 0);
	assert_non_null(strstr(f->rig.error, "300.1.2.3"));
	assert_null(strchr(f->rig.error, '\n'));
	assert_false(socket_exists(f));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(serves_whoever_comes_by_the_unix_socket),
		TEST(one_client_too_many_is_told_so),
		TEST(the_socket_file_goes_with_the_server),
		TEST(another_server_on_the_socket_is_not_pushed_away),
		TEST(a_socket_file_left_by_a_crash_is_replaced),
		TEST(a_plain_file_in_the_sockets_place_stays),
		TEST(a_client_accepted_at_the_last_moment_is_hung_up_on),
		TEST(with_nothing_to_listen_on_it_says_so),
		TEST(an_address_that_is_none_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
