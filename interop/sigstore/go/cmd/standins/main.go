// Standins stands in for what keyless signers need beside a log: an issuer of identity tokens, a certificate
// authority with a certificate transparency log, and a timestamp authority, on one free loopback port. It
// writes whom to trust to fulcio.pem, ct-log.pem and tsa.pem in a folder, and prints its URL: standins DIR
//
//	GET  URL/token                  an identity token for alice@example.com
//	POST URL/api/v2/signingCert     a certificate, as from Fulcio
//	POST URL/api/v1/timestamp       a timestamp of RFC 3161
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"kiln.example/interop/sigstore/internal/exit"
	"kiln.example/interop/sigstore/internal/standin"
)

func main() {
	exit.With("standins", run())
}

func run() error {
	if len(os.Args) != 2 {
		return exit.Usage("standins DIR")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	handler, err := standin.New(url, os.Args[1])
	if err != nil {
		return err
	}
	fmt.Println(url)
	return http.Serve(listener, handler)
}
