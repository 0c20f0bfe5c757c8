// Faultyproxy stands between Kiln and an object store, passes requests on, counts them, and does to
// them what networks and stores do on bad days: faultyproxy -to URL [-seed N]
//
// It prints two URLs on loopback: its own, which takes the place of the store's, and one to steer it by:
//
//	POST /faults?drop=0.04&late=0.01    from now on; what is not named does not happen. See faults.
//	GET  /counts                        how many requests of which kind were answered how
//	POST /counts                        the same, and starts to count anew
//
// Requests are passed on as they came, the Host they were signed for included.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"kiln.example/interop/internal/cli"
)

func main() {
	cli.Exit("faultyproxy", run())
}

func run() error {
	to := flag.String("to", "", "URL of the object store")
	seed := flag.Uint64("seed", 1, "what chance begins with")
	flag.Parse()
	target, err := url.Parse(*to)
	if err != nil || target.Host == "" {
		return cli.Usage("-to is the URL of the store")
	}
	proxy := newProxy(target.Host, *seed)
	steer := http.NewServeMux()
	steer.HandleFunc("POST /faults", proxy.setFaults)
	steer.HandleFunc("GET /counts", proxy.tell)
	steer.HandleFunc("POST /counts", proxy.tellAndForget)
	failed := make(chan error)
	for _, handler := range []http.Handler{proxy, steer} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Printf("http://%s\n", listener.Addr())
		go func() { failed <- http.Serve(listener, handler) }()
	}
	return <-failed
}

// newProxy makes a proxy with no faults yet.
func newProxy(host string, seed uint64) *proxy {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 256,
		// What is compressed on the way would not be what was sent.
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, host)
		},
	}
	return &proxy{transport: transport, chance: newChance(seed), counts: map[string]int{}}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
