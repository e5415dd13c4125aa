// Sends lines of standard input as records, and says where they went.
//
//	produce HOST:PORT TOPIC PARTITION < FILE
//
// A line "key=value" has a key; one without "=" is a value without a key. Nothing but generated
// code: the server packs the records into a batch.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"millrace/examples/go/millracev1"
)

const (
	// More in one request is more in one batch on disk.
	recordsPerRequest = 500
	timeout           = 30 * time.Second
)

func recordOf(line string) *millracev1.Record {
	key, value, hasKey := strings.Cut(line, "=")
	if !hasKey {
		return &millracev1.Record{Value: []byte(line)}
	}
	return &millracev1.Record{Key: []byte(key), Value: []byte(value)}
}

// produce returns the offset of the first record; they follow each other.
func produce(log millracev1.LogServiceClient, topic string, partition int32, records []*millracev1.Record) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := log.Produce(ctx, &millracev1.ProduceRequest{
		Acks:       millracev1.Acks_ACKS_ALL,
		ClientId:   "go-example",
		Partitions: []*millracev1.ProducePartition{{Topic: topic, Partition: partition, Records: records}},
	})
	if err != nil {
		return 0, err
	}
	// One partition was asked for, so there is one result. Errors are per partition.
	result := response.Partitions[0]
	if result.Code != millracev1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		return 0, fmt.Errorf("%v: %s", result.Code, result.Message)
	}
	return result.BaseOffset, nil
}

func run(server, topic, partitionText string) error {
	partition, err := strconv.ParseInt(partitionText, 10, 32)
	if err != nil {
		return err
	}
	connection, err := grpc.Dial(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	log := millracev1.NewLogServiceClient(connection)

	var records []*millracev1.Record
	lines := bufio.NewScanner(os.Stdin)
	for more := true; more; {
		if more = lines.Scan(); more {
			records = append(records, recordOf(lines.Text()))
		}
		if len(records) == 0 || (more && len(records) < recordsPerRequest) {
			continue
		}
		offset, err := produce(log, topic, int32(partition), records)
		if err != nil {
			return err
		}
		fmt.Printf("%d records from offset %d\n", len(records), offset)
		records = nil
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: produce HOST:PORT TOPIC PARTITION")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "produce:", err)
		os.Exit(1)
	}
}
