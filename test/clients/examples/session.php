<?php
// A login session in PHP: from log-in to log-out everywhere.
$db = new Redis();
$db->connect('127.0.0.1', (int) (getenv('HOLDFAST_PORT') ?: 6379));

// Log-in. It ends after half an hour without use, and after eight hours at the latest.
$id = $db->rawCommand('SESSION.CREATE', 'USER', 'ada', 'DATA', '{"cart":[]}', 'TTL', 1800, 'ABSOLUTE', 28800);

// Each request. false: there is no such session (any more), log in again.
$data = json_decode($db->rawCommand('SESSION.GET', $id, 'DATA'), true);
$db->rawCommand('SESSION.UPDATE', $id, json_encode(['cart' => [...$data['cart'], 'book']]));

// More rights, another id. Requests that are under way may use the old one for ten seconds.
$id = $db->rawCommand('SESSION.ROTATE', $id, 'GRACE', 10);
echo 'cart: ', implode(' ', json_decode($db->rawCommand('SESSION.FIELD', $id, 'cart'))), "\n";

// Of all who find the access token expired, one fetches a new one; the others are told it.
function refresh_access_token(Redis $db, string $id, callable $fetch): string
{
    $reply = $db->rawCommand('SESSION.LEASE', $id, 'oauth', 'WAIT', 5000);
    if (!$reply[0]) {
        return json_decode($reply[2])->token;
    }
    $token = $fetch();
    $db->rawCommand('SESSION.COMMIT', $id, 'oauth', $reply[0], json_encode(['token' => $token]));
    return $token;
}
echo 'token: ', refresh_access_token($db, $id, fn () => 'new'), "\n";

// Log out everywhere.
echo 'ended: ', $db->rawCommand('SESSION.DELUSER', 'ada'), "\n";
echo 'after: ', var_export($db->rawCommand('SESSION.GET', $id), true), "\n";
