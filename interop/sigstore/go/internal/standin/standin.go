// Package standin stands in for what a keyless signer asks beside the log: an issuer of identity tokens, a
// certificate authority with a certificate transparency log, a timestamp authority. Their keys live as
// long as the process, and nobody should trust what they say.
package standin

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// New is all of them behind one handler, at a URL that tokens and certificates will name. Verifiers find
// whom to trust in folder: fulcio.pem, ct-log.pem, tsa.pem.
func New(url, folder string) (http.Handler, error) {
	now := time.Now()
	issuer, err := NewIssuer(url)
	if err != nil {
		return nil, err
	}
	ca, err := NewCA(issuer, now)
	if err != nil {
		return nil, err
	}
	tsa, err := NewTSA(now)
	if err != nil {
		return nil, err
	}
	logKey, err := x509.MarshalPKIXPublicKey(ca.LogKey())
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"fulcio.pem": chain(ca.Chain()),
		"tsa.pem":    chain(tsa.Chain()),
		"ct-log.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: logKey})),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	issuer.Handle(mux)
	ca.Handle(mux)
	tsa.Handle(mux)
	return mux, nil
}

func chain(certificates []*x509.Certificate) string {
	var text strings.Builder
	for _, certificate := range certificates {
		text.WriteString(inPEM(certificate.Raw))
	}
	return text.String()
}

func inPEM(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, err error) {
	answer(w, http.StatusBadRequest, map[string]any{"code": 3, "message": err.Error()})
}
