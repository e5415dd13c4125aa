// Prints the first records of a partition from an offset on, and waits for those that are not there
// yet.
//
//	consume HOST:PORT TOPIC PARTITION OFFSET COUNT
//
// Each fetch is a long poll: the server answers as soon as there is a record, or after a second
// without one.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"millrace/examples/go/millracev1"
)

const (
	waitMs  = 1000
	timeout = 30 * time.Second
)

// fetch returns the records from offset on that one answer holds; none if none came in time.
func fetch(log millracev1.LogServiceClient, topic string, partition int32, offset int64) ([]*millracev1.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := log.Fetch(ctx, &millracev1.FetchRequest{
		Partitions: []*millracev1.FetchPartition{{Topic: topic, Partition: partition, Offset: offset}},
		MaxWaitMs:  waitMs,
		Format:     millracev1.RecordFormat_RECORD_FORMAT_RECORDS,
		ClientId:   "go-example",
	})
	if err != nil {
		return nil, err
	}
	result := response.Partitions[0]
	if result.Code != millracev1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		return nil, fmt.Errorf("%v: %s", result.Code, result.Message)
	}
	return result.Records, nil
}

// A missing key or value is nil, which differs from an empty one.
func textOf(bytes []byte) string {
	if bytes == nil {
		return "(null)"
	}
	return string(bytes)
}

func run(server, topic string, partition int32, offset, left int64) error {
	connection, err := grpc.Dial(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	log := millracev1.NewLogServiceClient(connection)
	for left > 0 {
		records, err := fetch(log, topic, partition, offset)
		if err != nil {
			return err
		}
		for _, record := range records {
			if left == 0 {
				break
			}
			fmt.Printf("%d %s: %s\n", record.Offset, textOf(record.Key), textOf(record.Value))
			// What to ask for next; kept somewhere, it is where a program goes on after a restart.
			offset = record.Offset + 1
			left--
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: consume HOST:PORT TOPIC PARTITION OFFSET COUNT")
		os.Exit(2)
	}
	var numbers [3]int64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseInt(os.Args[3+i], 10, 64); err != nil {
			fmt.Fprintln(os.Stderr, "consume:", err)
			os.Exit(2)
		}
	}
	if err := run(os.Args[1], os.Args[2], int32(numbers[0]), numbers[1], numbers[2]); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}
