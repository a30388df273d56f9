<?php
// A login session in PHP: from log-in to log-out everywhere. A process serves one request at a time,
// so its one connection may wait for a lease and holds nobody else up.
$db = new Redis();
$db->connect('127.0.0.1', (int) (getenv('HOLDFAST_PORT') ?: 6379));

// Log-in. It ends after half an hour without use, and after eight hours at the latest.
$oauth = ['access' => 'old', 'refresh' => 'works once', 'until' => 0];
$id = $db->rawCommand('SESSION.CREATE', 'USER', 'ada', 'DATA', json_encode(['cart' => [], 'oauth' => $oauth]),
    'TTL', 1800, 'ABSOLUTE', 28800);

// Each request. false: there is no such session (any more), log in again.
$data = json_decode($db->rawCommand('SESSION.GET', $id, 'DATA'), true);
$db->rawCommand('SESSION.UPDATE', $id, json_encode(['cart' => [...$data['cart'], 'book']]));

// More rights, another id. Requests that are under way may use the old one for ten seconds.
$id = $db->rawCommand('SESSION.ROTATE', $id, 'GRACE', 10);
echo 'cart: ', implode(' ', json_decode($db->rawCommand('SESSION.FIELD', $id, 'cart'))), "\n";

// The access token; null: the session has ended, log in again. Of all who find it expired, one
// fetches a new one.
function access_token(Redis $db, string $id, callable $fetch): ?string
{
    for ($tries = 0; $tries < 4; $tries++) {
        $read = $db->rawCommand('SESSION.GET', $id);
        if (!$read) {
            return null;
        }
        // A map is an array of names and values.
        $read = array_column(array_chunk($read, 2), 1, 0);
        $oauth = json_decode($read['data'], true)['oauth'];
        if ($oauth['until'] > time()) {
            return $oauth['access'];
        }
        $reply = $db->rawCommand('SESSION.LEASE', $id, 'oauth', 'MS', 30000, 'WAIT', 5000,
            'IFVERSION', $read['version']);
        if (!$reply) {
            return null;
        }
        if ($reply[0]) {
            return refresh($db, $id, $reply[0], $oauth, $fetch);
        }
        // Somebody else has fetched it, or still does: look again.
    }
    throw new RuntimeException('somebody else is still fetching a new token');
}

function refresh(Redis $db, string $id, string $lease, array $oauth, callable $fetch): ?string
{
    try {
        $fresh = $fetch($oauth['refresh']);
    } catch (Throwable $error) { // the next in line tries
        $db->rawCommand('SESSION.RELEASE', $id, 'oauth', $lease);
        throw $error;
    }
    $change = json_encode(['oauth' => $fresh]);
    try {
        $db->rawCommand('SESSION.COMMIT', $id, 'oauth', $lease, $change);
    } catch (RedisException $error) {
        if (str_starts_with($error->getMessage(), 'SESSIONGONE')) {
            return null;
        }
        if (!str_starts_with($error->getMessage(), 'LEASELOST')) {
            throw $error;
        }
        $db->rawCommand('SESSION.UPDATE', $id, $change); // it took long; the old tokens work no more
    }
    return $fresh['access'];
}

$fetched = 0;
$fetch = function (string $refresh) use (&$fetched): array { // would ask the provider
    $fetched++;
    return ['access' => 'new', 'refresh' => "after $refresh", 'until' => time() + 3600];
};
$tokens = array_map(fn () => access_token($db, $id, $fetch), range(1, 3));
echo 'token: ', implode(' ', array_unique($tokens)), ' fetched: ', $fetched, "\n";

// Log out everywhere.
echo 'ended: ', $db->rawCommand('SESSION.DELUSER', 'ada'), "\n";
echo 'after: ', var_export(access_token($db, $id, $fetch), true), "\n";
