// Checks a server with the Go client library. See ../README.md.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// patience is how long anything may take that should come at once.
const patience = 20 * time.Second

var checks = []struct {
	name string
	run  func(url string) error
}{
	{"publish_subscribe", publishSubscribe},
	{"wildcard", wildcard},
	{"headers", headers},
	{"request", request},
	{"no_responders", noResponders},
	{"queue", queue},
	{"unsubscribe", unsubscribe},
	{"large", large},
	{"drain", drain},
	{"reconnect", reconnect},
}

func main() {
	if len(os.Args) == 3 {
		modes(os.Args[1], os.Args[2])
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: interop URL [FOLDER]")
		os.Exit(2)
	}
	failed := false
	for _, check := range checks {
		if err := check.run(os.Args[1]); err != nil {
			fmt.Printf("FAIL %s %v\n", check.name, err)
			failed = true
			continue
		}
		fmt.Printf("ok %s\n", check.name)
	}
	if failed {
		os.Exit(1)
	}
}

func publishSubscribe(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("go.pubsub")
	if err != nil {
		return err
	}
	for i := range 100 {
		if err := nc.Publish("go.pubsub", bytes.Repeat([]byte{byte(i)}, i)); err != nil {
			return err
		}
	}
	for i := range 100 {
		msg, err := sub.NextMsg(patience)
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if !bytes.Equal(msg.Data, bytes.Repeat([]byte{byte(i)}, i)) {
			return fmt.Errorf("message %d has %d other bytes", i, len(msg.Data))
		}
	}
	return nothingMore(nc, sub)
}

func wildcard(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	star, err := nc.SubscribeSync("go.wild.*")
	if err != nil {
		return err
	}
	rest, err := nc.SubscribeSync("go.wild.>")
	if err != nil {
		return err
	}
	for _, subject := range []string{"go.wild", "go.wild.a", "go.wild.a.b", "go.wilder.a"} {
		if err := nc.Publish(subject, nil); err != nil {
			return err
		}
	}
	if err := subjects(nc, star, "go.wild.a"); err != nil {
		return fmt.Errorf("*: %w", err)
	}
	if err := subjects(nc, rest, "go.wild.a", "go.wild.a.b"); err != nil {
		return fmt.Errorf(">: %w", err)
	}
	return nil
}

func headers(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("go.headers")
	if err != nil {
		return err
	}
	msg := nats.NewMsg("go.headers")
	msg.Header.Add("Fruit", "apple")
	msg.Header.Add("Fruit", "pear")
	msg.Header.Add("Colour", "red")
	msg.Data = []byte("payload")
	if err := nc.PublishMsg(msg); err != nil {
		return err
	}
	got, err := sub.NextMsg(patience)
	if err != nil {
		return err
	}
	fruit, colour := got.Header.Values("Fruit"), got.Header.Get("Colour")
	if !slices.Equal(fruit, []string{"apple", "pear"}) || colour != "red" || len(got.Header) != 2 {
		return fmt.Errorf("headers %v", got.Header)
	}
	if string(got.Data) != "payload" {
		return fmt.Errorf("payload %q", got.Data)
	}
	return nil
}

func request(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.Subscribe("go.service", func(msg *nats.Msg) { _ = msg.Respond(append([]byte("re: "), msg.Data...)) })
	if err != nil {
		return err
	}
	for i := range 20 {
		ask := strconv.Itoa(i)
		reply, err := nc.Request("go.service", []byte(ask), patience)
		if err != nil {
			return err
		}
		if string(reply.Data) != "re: "+ask {
			return fmt.Errorf("reply %q to %s", reply.Data, ask)
		}
	}
	return nil
}

func noResponders(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.Request("go.nobody", nil, patience)
	if !errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("got %v", err)
	}
	return nil
}

func queue(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	var members []*nats.Subscription
	for range 3 {
		sub, err := nc.QueueSubscribeSync("go.queue", "workers")
		if err != nil {
			return err
		}
		members = append(members, sub)
	}
	for i := range 99 {
		if err := nc.Publish("go.queue", []byte(strconv.Itoa(i))); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, sub := range members {
		// The flush came back after all deliveries, on the same connection.
		pending, _, err := sub.Pending()
		if err != nil {
			return err
		}
		if pending == 0 {
			return fmt.Errorf("member %d got nothing", i)
		}
		for range pending {
			msg, err := sub.NextMsg(patience)
			if err != nil {
				return err
			}
			if seen[string(msg.Data)] {
				return fmt.Errorf("message %s came twice", msg.Data)
			}
			seen[string(msg.Data)] = true
		}
	}
	if len(seen) != 99 {
		return fmt.Errorf("%d of 99 messages", len(seen))
	}
	return nil
}

func unsubscribe(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("go.unsubscribe")
	if err != nil {
		return err
	}
	if err := sub.AutoUnsubscribe(5); err != nil {
		return err
	}
	for range 10 {
		if err := nc.Publish("go.unsubscribe", nil); err != nil {
			return err
		}
	}
	for i := range 5 {
		if _, err := sub.NextMsg(patience); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	// In the statistics of the connection, because the library itself drops what comes after the fifth.
	if in := nc.Stats().InMsgs; in != 5 {
		return fmt.Errorf("the server delivered %d", in)
	}
	return nil
}

func large(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("go.large")
	if err != nil {
		return err
	}
	payload := make([]byte, 512*1024)
	for i := range payload {
		payload[i] = byte(i * 31)
	}
	if err := nc.Publish("go.large", payload); err != nil {
		return err
	}
	msg, err := sub.NextMsg(patience)
	if err != nil {
		return err
	}
	if !bytes.Equal(msg.Data, payload) {
		return fmt.Errorf("%d other bytes", len(msg.Data))
	}
	return nil
}

func drain(url string) error {
	closed := make(chan struct{})
	nc, err := nats.Connect(url, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	handled := 0
	release := make(chan struct{})
	_, err = nc.Subscribe("go.drain", func(*nats.Msg) {
		<-release
		handled++
	})
	if err != nil {
		return err
	}
	for range 100 {
		if err := nc.Publish("go.drain", nil); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	if err := nc.Drain(); err != nil {
		return err
	}
	close(release)
	select {
	case <-closed:
	case <-time.After(patience):
		return errors.New("the connection did not close")
	}
	if handled != 100 {
		return fmt.Errorf("%d of 100 messages handled", handled)
	}
	return nil
}

func reconnect(url string) error {
	back := make(chan struct{}, 1)
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("go.reconnect")
	if err != nil {
		return err
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Println("restart")
	select {
	case <-back:
	case <-time.After(patience):
		return errors.New("did not come back")
	}
	if err := nc.Publish("go.reconnect", []byte("again")); err != nil {
		return err
	}
	msg, err := sub.NextMsg(patience)
	if err != nil {
		return err
	}
	if string(msg.Data) != "again" {
		return fmt.Errorf("got %q", msg.Data)
	}
	return nil
}

// subjects expects exactly these subjects, in this order.
func subjects(nc *nats.Conn, sub *nats.Subscription, want ...string) error {
	for _, subject := range want {
		msg, err := sub.NextMsg(patience)
		if err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		if msg.Subject != subject {
			return fmt.Errorf("got %s, not %s", msg.Subject, subject)
		}
	}
	return nothingMore(nc, sub)
}

// nothingMore makes a round trip, after which every earlier delivery has come.
func nothingMore(nc *nats.Conn, sub *nats.Subscription) error {
	if err := nc.Flush(); err != nil {
		return err
	}
	if pending, _, err := sub.Pending(); err != nil || pending > 0 {
		return fmt.Errorf("%d deliveries too many (%v)", pending, err)
	}
	return nil
}
