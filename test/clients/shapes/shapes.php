<?php
// Calls the methods named on the command line, and writes what the client makes of each reply.
$db = new Redis();
$db->connect('127.0.0.1', (int) getenv('HOLDFAST_PORT'));
foreach (array_slice($argv, 1) as $words) {
    try {
        echo json_encode($db->rawCommand(...explode(' ', $words))), "\n";
    } catch (RedisException $error) {
        echo get_class($error), '("', $error->getMessage(), "\")\n";
    }
}
