// Load on NATS JetStream with its own Go client. Prints one JSON object.
//
//	nats-load URL first-ack               waits until a stream is made and a message acknowledged
//	nats-load URL exec PROGRAM CONFIG...  from exec of servers until then; they are left running
//	nats-load URL produce RECORDS SIZE    asynchronous, at most 4,096 not acknowledged
//	nats-load URL consume RECORDS SIZE    what produce left, from the beginning, by an ordered consumer
//	nats-load URL one RECORDS SIZE        one in flight: time until acknowledged, after a fifth more of them
//
// URL may be several, with commas between; the stream has as many replicas.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stream   = "BENCH"
	subject  = "bench"
	patience = 60 * time.Second
)

// Of the stream: one on each server.
var replicas = 1

type figures map[string]float64

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "nats-load:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) < 3 {
		return fmt.Errorf("needs a URL and a command")
	}
	result := figures{}
	begin := time.Now()
	replicas = len(strings.Split(args[1], ","))
	if args[2] == "exec" && len(args) == 4+replicas {
		for i, config := range args[4:] {
			server := exec.Command(args[3], "-c", config, "-l", config+".log")
			if err := server.Start(); err != nil {
				return err
			}
			// Nobody else would end it.
			defer func() {
				if err != nil {
					_ = server.Process.Kill()
				}
			}()
			result[fmt.Sprintf("pid%d", i)] = float64(server.Process.Pid)
		}
		args = []string{args[0], args[1], "first-ack"}
	}
	conn, err := nats.Connect(args[1])
	for err != nil && time.Since(begin) < patience {
		time.Sleep(time.Millisecond)
		conn, err = nats.Connect(args[1])
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return err
	}
	if args[2] == "first-ack" {
		err = firstAck(js, begin, result)
	} else {
		if len(args) != 5 {
			return fmt.Errorf("%s needs RECORDS and SIZE", args[2])
		}
		var records, size int
		if records, err = strconv.Atoi(args[3]); err != nil {
			return err
		}
		if size, err = strconv.Atoi(args[4]); err != nil {
			return err
		}
		switch args[2] {
		case "produce":
			err = produce(js, records, size, result)
		case "consume":
			err = consume(js, records, size, result)
		case "one":
			err = oneInFlight(js, records, size, result)
		default:
			err = fmt.Errorf("no command %q", args[2])
		}
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func makeStream(js jetstream.JetStream, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{subject}, Storage: jetstream.FileStorage, Replicas: replicas,
	})
	return err
}

// An empty stream in place of what was there.
func freshStream(js jetstream.JetStream) error {
	_ = js.DeleteStream(context.Background(), stream)
	return makeStream(js, patience)
}

func firstAck(js jetstream.JetStream, begin time.Time, result figures) error {
	// Asked again soon: JetStream may come up a little after the port, and does not answer until then.
	for makeStream(js, 50*time.Millisecond) != nil {
		if time.Since(begin) > patience {
			return fmt.Errorf("no stream after %v", patience)
		}
	}
	for {
		_, err := js.Publish(context.Background(), subject, []byte("x"))
		if err == nil {
			break
		}
		if time.Since(begin) > patience {
			return err
		}
	}
	result["first_ack_s"] = time.Since(begin).Seconds()
	return nil
}

func rates(records, size int, took time.Duration, result figures) {
	result["records_per_s"] = float64(records) / took.Seconds()
	result["mib_per_s"] = float64(records*size) / took.Seconds() / (1 << 20)
}

func produce(js jetstream.JetStream, records, size int, result figures) error {
	if err := freshStream(js); err != nil {
		return err
	}
	value := make([]byte, size)
	begin := time.Now()
	for i := 0; i < records; i++ {
		_, err := js.PublishAsync(subject, value)
		for err != nil && time.Since(begin) < patience { // Too many on their way for the client's liking.
			_, err = js.PublishAsync(subject, value)
		}
		if err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(patience):
		return fmt.Errorf("not all acknowledged after %v", patience)
	}
	rates(records, size, time.Since(begin), result)
	return nil
}

func consume(js jetstream.JetStream, records, size int, result figures) error {
	consumer, err := js.OrderedConsumer(context.Background(), stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	begin := time.Now()
	messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for i := 0; i < records; i++ {
		if _, err := messages.Next(); err != nil {
			return err
		}
	}
	rates(records, size, time.Since(begin), result)
	return nil
}

func oneInFlight(js jetstream.JetStream, records, size int, result figures) error {
	if err := freshStream(js); err != nil {
		return err
	}
	value := make([]byte, size)
	times := make([]float64, 0, records)
	for i := -records / 5; i < records; i++ {
		begin := time.Now()
		if _, err := js.Publish(context.Background(), subject, value); err != nil {
			return err
		}
		if i >= 0 {
			times = append(times, float64(time.Since(begin).Nanoseconds())/1e3)
		}
	}
	sort.Float64s(times)
	result["p50_us"] = times[len(times)/2]
	result["p99_us"] = times[len(times)*99/100]
	result["max_us"] = times[len(times)-1]
	return nil
}
