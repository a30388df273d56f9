// Calls the methods named on the command line, and writes what the client makes of each reply.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/gomodule/redigo/redis"
)

func show(reply interface{}) string {
	switch value := reply.(type) {
	case nil:
		return "nil"
	case []byte:
		return fmt.Sprintf("[]byte(%q)", value)
	case []interface{}:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = show(item)
		}
		return "[]any{" + strings.Join(items, ", ") + "}"
	default:
		return fmt.Sprintf("%T(%v)", value, value)
	}
}

func main() {
	db, err := redis.Dial("tcp", "127.0.0.1:"+os.Getenv("HOLDFAST_PORT"))
	if err != nil {
		panic(err)
	}
	for _, words := range os.Args[1:] {
		var arguments []interface{}
		for _, word := range strings.Split(words, " ")[1:] {
			arguments = append(arguments, word)
		}
		reply, err := db.Do(strings.Split(words, " ")[0], arguments...)
		if err != nil {
			fmt.Printf("%T(%q)\n", err, err)
		} else {
			fmt.Println(show(reply))
		}
	}
}
