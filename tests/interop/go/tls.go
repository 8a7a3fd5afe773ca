package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
)

// modes says who gets in at a server with TLS, given the folder with its certificates.
func modes(url, folder string) {
	file := func(name string) string { return filepath.Join(folder, name) }
	trusting := []nats.Option{nats.RootCAs(file("ca.pem")), nats.Secure()}
	with := func(options ...nats.Option) []nats.Option { return append(options, trusting...) }
	for _, client := range []struct {
		who     string
		options []nats.Option
	}{
		{"trusting", trusting},
		{"certified", with(nats.ClientCert(file("named.pem"), file("named.key")))},
		{"first", with(nats.TLSHandshakeFirst())},
		{"plain", nil},
	} {
		answer := "yes"
		if err := exchange(url, client.options); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", client.who, err)
			answer = "no"
		}
		fmt.Println(client.who, answer)
	}
}

// exchange sends one message to itself.
func exchange(url string, options []nats.Option) error {
	nc, err := nats.Connect(url, append(options, nats.Timeout(3*time.Second))...)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("secret")
	if err != nil {
		return err
	}
	if err := nc.Publish("secret", []byte("kept")); err != nil {
		return err
	}
	msg, err := sub.NextMsg(patience)
	if err != nil {
		return err
	}
	if string(msg.Data) != "kept" {
		return fmt.Errorf("got %q", msg.Data)
	}
	return nil
}
