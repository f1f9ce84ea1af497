package main

import "context"

// logging is B11: what it costs synchronous executions that each is written down.
func logging(ctx context.Context, s *stage) (*result, error) {
	var sides []side
	for _, each := range []string{"off", "on"} {
		p, err := s.product(ctx, "PATCHBAY_EXECUTION_LOG="+each)
		if err != nil {
			return nil, err
		}
		if err := post(ctx, p, connectorPath+"bench", logConnector); err != nil {
			return nil, err
		}
		l := execute(p, logParams)
		l.callers = 64
		sides = append(sides, s.side("log "+each, l))
	}
	var r result
	if err := s.rounds(ctx, &r, sides...); err != nil {
		return nil, err
	}
	r.atLeast(0.90, none, "`.server-log`, 64 at once, with the execution log: rate", "log on", "log off", rate)
	return &r, nil
}
