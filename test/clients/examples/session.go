// A login session in Go, with redigo: from log-in to log-out everywhere.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
)

type tokens struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
	Until   int64  `json:"until"`
}

type login struct {
	Cart  []string `json:"cart"`
	OAuth tokens   `json:"oauth"`
}

func dial() (redis.Conn, error) {
	port := os.Getenv("HOLDFAST_PORT")
	if port == "" {
		port = "6379"
	}
	return redis.Dial("tcp", "127.0.0.1:"+port)
}

// SESSION.LEASE may wait: it has a few connections of its own, for which callers stand in line.
var (
	db      = &redis.Pool{Dial: dial, MaxIdle: 8, MaxActive: 32, Wait: true}
	waiting = &redis.Pool{Dial: dial, MaxIdle: 8, MaxActive: 8, Wait: true}
)

func session(command string, words ...interface{}) (interface{}, error) {
	conn := db.Get()
	defer conn.Close()
	return conn.Do(command, words...)
}

var (
	errEnded = errors.New("the session has ended: log in again")
	errBusy  = errors.New("somebody else is still fetching a new token")
)

// Of all who find the access token expired, one fetches a new one.
func accessToken(id string, fetch func(string) (tokens, error)) (string, error) {
	for tries := 0; tries < 4; tries++ {
		var read struct {
			Version int64  `redis:"version"`
			Data    []byte `redis:"data"`
		}
		values, err := redis.Values(session("SESSION.GET", id))
		if err == redis.ErrNil {
			return "", errEnded
		}
		if err == nil {
			err = redis.ScanStruct(values, &read)
		}
		var data login
		if err == nil {
			err = json.Unmarshal(read.Data, &data)
		}
		if err != nil || data.OAuth.Until > time.Now().Unix() {
			return data.OAuth.Access, err
		}
		token, err := refresh(id, read.Version, data.OAuth, fetch)
		if err != nil || token != "" {
			return token, err
		}
	}
	return "", errBusy
}

// "": somebody else has fetched it, or still does: look again.
func refresh(id string, version int64, old tokens, fetch func(string) (tokens, error)) (string, error) {
	// The lease ends with its connection, which is ours until the new tokens are stored.
	own := waiting.Get()
	defer own.Close()
	reply, err := redis.Values(own.Do("SESSION.LEASE", id, "oauth", "MS", 30000, "WAIT", 5000,
		"IFVERSION", version))
	if err == redis.ErrNil {
		return "", errEnded
	}
	if err != nil || reply[0] == nil {
		return "", err
	}
	fresh, err := fetch(old.Refresh)
	if err != nil { // the next in line tries
		own.Do("SESSION.RELEASE", id, "oauth", reply[0])
		return "", err
	}
	change, _ := json.Marshal(map[string]tokens{"oauth": fresh})
	_, err = own.Do("SESSION.COMMIT", id, "oauth", reply[0], change)
	if err != nil && strings.HasPrefix(err.Error(), "SESSIONGONE") {
		return "", errEnded
	}
	if err != nil && strings.HasPrefix(err.Error(), "LEASELOST") {
		_, err = own.Do("SESSION.UPDATE", id, change) // it took long; the old tokens work no more
	}
	return fresh.Access, err
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	// Log-in. It ends after half an hour without use, and after eight hours at the latest.
	data := login{Cart: []string{}, OAuth: tokens{Access: "old", Refresh: "works once"}}
	text, _ := json.Marshal(data)
	id, err := redis.String(session("SESSION.CREATE", "USER", "ada", "DATA", text,
		"TTL", 1800, "ABSOLUTE", 28800))
	check(err)

	// Each request. redis.ErrNil: there is no such session (any more), log in again.
	text, err = redis.Bytes(session("SESSION.GET", id, "DATA"))
	check(err)
	check(json.Unmarshal(text, &data))
	text, _ = json.Marshal(map[string][]string{"cart": append(data.Cart, "book")})
	_, err = session("SESSION.UPDATE", id, text)
	check(err)

	// More rights, another id. Requests that are under way may use the old one for ten seconds.
	id, err = redis.String(session("SESSION.ROTATE", id, "GRACE", 10))
	check(err)
	text, err = redis.Bytes(session("SESSION.FIELD", id, "cart"))
	check(err)
	check(json.Unmarshal(text, &data.Cart))
	fmt.Println("cart:", strings.Join(data.Cart, " "))

	var fetched int32
	fetch := func(refresh string) (tokens, error) { // would ask the provider
		atomic.AddInt32(&fetched, 1)
		return tokens{"new", "after " + refresh, time.Now().Unix() + 3600}, nil
	}
	var callers sync.WaitGroup
	var told sync.Map
	for i := 0; i < 1000; i++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			token, err := accessToken(id, fetch)
			check(err)
			told.Store(token, true)
		}()
	}
	callers.Wait()
	fmt.Print("token:")
	told.Range(func(token, _ interface{}) bool { fmt.Print(" ", token); return true })
	fmt.Println(" fetched:", fetched)

	// Log out everywhere.
	ended, err := redis.Int(session("SESSION.DELUSER", "ada"))
	check(err)
	fmt.Println("ended:", ended)
	_, err = accessToken(id, fetch)
	fmt.Println("after:", err == errEnded)
}
