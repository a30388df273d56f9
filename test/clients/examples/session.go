// A login session in Go, with redigo: from log-in to log-out everywhere.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gomodule/redigo/redis"
)

func main() {
	db, err := redis.Dial("tcp", "127.0.0.1:"+os.Getenv("HOLDFAST_PORT"))
	if err != nil {
		panic(err)
	}
	defer db.Close()

	// Log-in. It ends after half an hour without use, and after eight hours at the latest.
	id, _ := redis.String(db.Do("SESSION.CREATE", "USER", "ada", "DATA", `{"cart":[]}`,
		"TTL", 1800, "ABSOLUTE", 28800))

	// Each request. redis.ErrNil: there is no such session (any more), log in again.
	var data struct{ Cart []string `json:"cart"` }
	text, _ := redis.Bytes(db.Do("SESSION.GET", id, "DATA"))
	json.Unmarshal(text, &data)
	data.Cart = append(data.Cart, "book")
	text, _ = json.Marshal(data)
	db.Do("SESSION.UPDATE", id, text)

	// More rights, another id. Requests that are under way may use the old one for ten seconds.
	id, _ = redis.String(db.Do("SESSION.ROTATE", id, "GRACE", 10))
	text, _ = redis.Bytes(db.Do("SESSION.FIELD", id, "cart.0"))
	var item string
	json.Unmarshal(text, &item)
	fmt.Println("cart:", item)

	fmt.Println("token:", refreshAccessToken(db, id, func() string { return "new" }))

	// Log out everywhere.
	ended, _ := redis.Int(db.Do("SESSION.DELUSER", "ada"))
	fmt.Println("ended:", ended)
	_, err = redis.Bytes(db.Do("SESSION.GET", id, "DATA"))
	fmt.Println("after:", err == redis.ErrNil)
}

// Of all who find the access token expired, one fetches a new one; the others are told it.
func refreshAccessToken(db redis.Conn, id string, fetch func() string) string {
	var told struct{ Token string `json:"token"` }
	reply, _ := redis.Values(db.Do("SESSION.LEASE", id, "oauth", "WAIT", 5000))
	if reply[0] == nil {
		json.Unmarshal(reply[2].([]byte), &told)
		return told.Token
	}
	told.Token = fetch()
	text, _ := json.Marshal(told)
	db.Do("SESSION.COMMIT", id, "oauth", reply[0], text)
	return told.Token
}
