// Servedir serves a log's folder over HTTP on a free loopback port, as any file server would, and
// prints the URL first: servedir DIR
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"kiln.example/interop/internal/cli"
)

func main() {
	cli.Exit("servedir", run())
}

func run() error {
	if len(os.Args) != 2 {
		return cli.Usage("servedir DIR")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	return http.Serve(listener, http.FileServer(http.Dir(os.Args[1])))
}
