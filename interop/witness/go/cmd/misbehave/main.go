// Misbehave is a witness that does not do what it should: misbehave -name N -logs FILE [-mode MODE] ...
//
// It prints its vkeys, one a line, its URL, `steer` and the URL to steer it by, and `ready`. What is honest of it,
// and that is all but the answers to add-checkpoint, is internal/honest; it forgets what it cosigned when it ends.
// The modes:
//
//	honest             all as it should be
//	wrong-signature    its lines, in which a bit is changed
//	wrong-key          lines under its name by a key that nobody knows
//	zero-time          good cosignatures without a time
//	future             good cosignatures of a time in ten years
//	other-checkpoint   good cosignatures of another checkpoint, the one before
//	stall              no answer
//	slow MS            an honest one, so many milliseconds later
//	conflict-for-ever  409, each time with another size
//	ahead              409 with a size beyond the log's
//	bad-conflict       409 with a body that is no size
//	garbage            200 and nonsense, of several sorts
//	empty              200 and nothing
//	huge               200 and lines without an end
//	close              the connection ends
//	500, 404, 403, 429 that status
//
// Steering: POST /mode?mode=MODE, and GET /counts, how many requests to add-checkpoint came in each mode.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/honest"
	"kiln.example/interop/witness/internal/loglist"
)

func main() {
	cli.Exit("misbehave", run())
}

func run() error {
	name := flag.String("name", "misbehave.example/w", "name of the witness")
	label := flag.String("label", "", "what its keys are derived from; its name where nothing is said")
	kinds := flag.String("keys", "ed25519,ml-dsa-44", "kinds of its keys, with commas")
	list := flag.String("logs", "", "file that lists the logs")
	listen := flag.String("listen", "127.0.0.1:0", "address of the witness")
	mode := flag.String("mode", "honest", "how it begins")
	flag.Parse()
	if *label == "" {
		*label = *name
	}
	keys, err := makeKeys(*kinds, *name, *label)
	if err != nil {
		return err
	}
	file, err := os.Open(*list)
	if err != nil {
		return cli.Usage("-logs: %v", err)
	}
	entries, err := loglist.Read(file)
	if err != nil {
		return err
	}
	server := newServer(honest.New(keys, entries), cosign.TestKey(cosign.Ed25519, *name, "nobody knows"),
		cosign.TestKey(cosign.MLDSA44, *name, "nobody knows"))
	if err := server.setMode(*mode); err != nil {
		return err
	}
	for _, key := range keys {
		fmt.Println(key.VKey())
	}
	return server.serve(*listen)
}

func makeKeys(kinds, name, label string) (keys []cosign.Key, err error) {
	for _, kind := range strings.Split(kinds, ",") {
		switch kind {
		case cosign.Ed25519.String():
			keys = append(keys, cosign.TestKey(cosign.Ed25519, name, label))
		case cosign.MLDSA44.String():
			keys = append(keys, cosign.TestKey(cosign.MLDSA44, name, label))
		default:
			return nil, cli.Usage("-keys: no kind %q", kind)
		}
	}
	return keys, nil
}

func (s *server) serve(listen string) error {
	witness, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	steer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\nsteer http://%s\nready\n", witness.Addr(), steer.Addr())
	failed := make(chan error)
	go func() { failed <- http.Serve(witness, s) }()
	go func() { failed <- http.Serve(steer, s.steering()) }()
	return <-failed
}
